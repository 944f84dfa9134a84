// Package target says which server a bench run may touch and from which source addresses.
//
// [Parse] reads a URL, [Resolve] turns its host into addresses and refuses the whole target unless every one of
// them is in 127.0.0.0/8 or is ::1. The check is on addresses, after resolution, so that no spelling of a host
// name gets around it; whoever dials calls [CheckLoopback] again on the very address it dials. Nothing here
// opens a connection.
//
// All functions may be called from any goroutine.
package target
