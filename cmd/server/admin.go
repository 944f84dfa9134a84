package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"weir/internal/admin"
)

// listenAdmin binds -admin; nil without an error means off.
func listenAdmin(address string) (net.Listener, error) {
	if address == "off" {
		return nil, nil
	}
	ln, err := admin.Listen(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("-admin %s: another program listens there; stop it, or choose another address or off", address)
	case err != nil:
		return nil, advise(fmt.Errorf("-admin %s: %w", address, root(err)))
	}
	return ln, nil
}

// advise adds what to do to errors of the admin address that have one answer. The engine explains
// its own.
func advise(err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; this machine does not have that address", err)
	}
	return err
}
