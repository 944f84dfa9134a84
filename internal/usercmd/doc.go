// Package usercmd is the commands "weir user" and "weir token", which change a file of accounts and exit. What such a file
// is, and what may be in it, is engine/auth/accounts'; this package reads command lines, asks for passwords and prints
// lists. cmd/server calls it. Not for concurrent use.
package usercmd
