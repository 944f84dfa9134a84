package usercmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"

	terminal "golang.org/x/term"

	"weir/engine/auth/accounts"
)

// The shortest password that is taken. What a thief of the file, or who has recorded a login
// without TLS, can do is guess: 600,000 iterations slow that down, and do not save a short word.
const leastPassword = 12

// interrupted is the exit code of a command that was stopped while it asked.
const interrupted = 1

// verifier asks for a password and hashes it, which takes a fraction of a second.
func (call *invocation) verifier() (v accounts.Verifier, err error) {
	password, err := call.password()
	if err != nil {
		return v, err
	}
	if password == "" {
		return v, errors.New("no password was given: type it at a terminal, or pipe it in as one line")
	}
	prepared, err := accounts.PreparePassword(password)
	if err != nil {
		return v, err
	}
	if utf8.RuneCountInString(prepared) < leastPassword {
		return v, fmt.Errorf("the password must have at least %d characters", leastPassword)
	}
	return accounts.NewVerifier(password)
}

// password reads a password: without echo and twice from a terminal, else the only line of what is
// piped in.
func (call *invocation) password() (string, error) {
	fd := int(call.stdin.Fd())
	if !terminal.IsTerminal(fd) {
		r := bufio.NewReader(io.LimitReader(call.stdin, accounts.MaxPassword+3))
		line, err := r.ReadString('\n')
		if err != nil && err != io.EOF {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			return "", errors.New("the password must be one line of at most 1024 bytes")
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
	}
	// Whoever stops the command here gets the echo back.
	state, err := terminal.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	defer func() { signal.Stop(stop); close(done) }()
	go func() {
		select {
		case <-stop:
			_ = terminal.Restore(fd, state)
			fmt.Fprintln(call.stderr)
			os.Exit(interrupted)
		case <-done:
		}
	}()
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(call.stderr, prompt)
		b, err := terminal.ReadPassword(fd)
		fmt.Fprintln(call.stderr)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}
