// Package gate stands in front of a service and lets nobody reach it who has not proved who it is:
// frames and lines by an exchange of package sasl (Frames, Lines), HTTP by Basic, bearer tokens or
// client certificates (HTTP). What the service behind it is does not matter: it is opened, and dials its
// server if it relays, when the login is over.
//
// Everything runs on the loops but the one slow thing, the hash of a password that is shown as such
// (Basic). Attempts are limited before they cost anything (package attempts).
package gate
