// Package victim holds the small servers that the bench's tests attack, and the check that a test leaves no
// descriptor behind. For tests only; any goroutine.
package victim
