package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	terminal "golang.org/x/term"

	"weir/engine/auth/accounts"
	"weir/internal/say"
)

// accountCommand is one of the commands that change a file of accounts: "weir user add". They run and
// exit; a server that has the file notices by itself.
type accountCommand struct {
	name   string // "user add"
	args   string // what follows -users FILE, for people
	least  int    // arguments
	most   int
	scopes bool // takes -scopes
	expiry bool // takes -expires
	help   string
	run    func(*accountCall) error
}

// accountCall is one call of a command.
type accountCall struct {
	file    string
	args    []string
	scopes  string // "" when it was not given
	expires string
	stdin   *os.File
	stdout  io.Writer
	stderr  io.Writer
	now     time.Time
}

// The shortest password that is taken. What a thief of the file, or who has recorded a login
// without TLS, can do is guess: 600,000 iterations slow that down, and do not save a short word.
const leastPassword = 12

const defaultExpiry = "2160h" // 90 days

// accountCommands is the table: the commands, -help and docs/operations.md come from it.
var accountCommands = []accountCommand{
	{name: "user add", args: "[-scopes LIST] NAME", least: 1, most: 1, scopes: true, run: userAdd,
		help: "Make an account. The password is asked for twice, or read from a pipe; it has at least 12 characters. The file is made when there is none"},
	{name: "user passwd", args: "NAME", least: 1, most: 1, run: userPasswd, help: "Change an account's password. Its tokens stay"},
	{name: "user scopes", args: "NAME LIST", least: 2, most: 2, run: userScopes, help: "Change what an account may do, - for nothing. What it loses its tokens lose"},
	{name: "user disable", args: "NAME", least: 1, most: 1, run: userDisable, help: "Let an account, and its tokens, log in no more"},
	{name: "user enable", args: "NAME", least: 1, most: 1, run: userEnable, help: "Let it log in again"},
	{name: "user del", args: "NAME", least: 1, most: 1, run: userDel, help: "Remove an account and its tokens"},
	{name: "user list", run: userList, help: "List the accounts"},
	{name: "token issue", args: "[-scopes LIST] [-expires DURATION] NAME LABEL", least: 2, most: 2, scopes: true, expiry: true, run: tokenIssue,
		help: "Make a token for an account and print it, this once. LABEL tells its tokens apart. Without -scopes it may do what the account may; -expires is " + defaultExpiry + " (90 days) by default, or never"},
	{name: "token revoke", args: "NAME LABEL", least: 2, most: 2, run: tokenRevoke, help: "Make a token worthless"},
	{name: "token list", args: "[NAME]", most: 1, run: tokenList, help: "List the tokens, or those of one account"},
}

// isAccounts reports whether a command line is for accounts.
func isAccounts(args []string) bool {
	return len(args) > 0 && (args[0] == "user" || args[0] == "token")
}

// runAccounts runs "weir user ..." and "weir token ...".
func runAccounts(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	call := &accountCall{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now()}
	c, err := call.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		printAccountHelp(stdout)
		return exitOK
	}
	if err == nil {
		err = c.run(call)
	}
	if err != nil {
		return complain(stderr, err)
	}
	return exitOK
}

func (call *accountCall) parse(args []string) (*accountCommand, error) {
	if len(args) == 1 || args[1] == "-h" || args[1] == "-help" || args[1] == "--help" {
		return nil, flag.ErrHelp
	}
	name := args[0] + " " + args[1]
	wrong := func(what string) error {
		return say.Usage(say.Shown(name) + ": " + what + "; weir " + args[0] + " -help tells more")
	}
	var c *accountCommand
	for i := range accountCommands {
		if accountCommands[i].name == name {
			c = &accountCommands[i]
		}
	}
	if c == nil {
		return nil, wrong("no such command")
	}
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&call.file, "users", "", "")
	if c.scopes {
		fs.StringVar(&call.scopes, "scopes", "", "")
	}
	if c.expiry {
		fs.StringVar(&call.expires, "expires", defaultExpiry, "")
	}
	for rest := args[2:]; ; { // flags may follow names
		if err := fs.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, say.LineError(err, nil)
		}
		if fs.NArg() == 0 {
			break
		}
		call.args = append(call.args, fs.Arg(0))
		rest = fs.Args()[1:]
	}
	switch {
	case len(call.args) < c.least || len(call.args) > c.most:
		return nil, wrong("is followed by -users FILE " + c.args)
	case call.file == "":
		return nil, wrong("needs -users FILE")
	}
	return c, nil
}

func printAccountHelp(w io.Writer) {
	fmt.Fprint(w, "Accounts and tokens are in a file of their own, which only its owner may read.\nA server that has the file notices within two seconds. Passwords are never\narguments: others see those.\n")
	for i := range accountCommands {
		c := &accountCommands[i]
		fmt.Fprintf(w, "\n  %s\n", c.usage())
		for _, line := range say.Wrap(c.help+".", 70) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	}
}

func (c *accountCommand) usage() string {
	return strings.TrimSpace("weir " + c.name + " -users FILE " + c.args)
}

func (call *accountCall) edit(create bool, change func(*accounts.Draft) error) error {
	return accounts.Edit(call.file, create, change)
}

func userAdd(call *accountCall) error {
	name, err := accounts.PrepareName(call.args[0])
	if err != nil {
		return err
	}
	var scopes []string
	if call.scopes != "" {
		if scopes, err = accounts.ParseScopes(call.scopes); err != nil {
			return err
		}
	}
	if set, err := accounts.ReadFile(call.file); err == nil && has(set, name) {
		return fmt.Errorf("there is an account %s already", name) // before the password is asked for
	}
	v, err := call.verifier()
	if err != nil {
		return err
	}
	return call.edit(true, func(d *accounts.Draft) error { return d.Add(name, v, scopes) })
}

func has(set *accounts.Set, name string) bool {
	return slices.ContainsFunc(set.Accounts(), func(a accounts.Account) bool { return a.Name == name })
}

func userPasswd(call *accountCall) error {
	set, err := accounts.ReadFile(call.file)
	if err != nil {
		return err
	}
	name, err := accounts.PrepareName(call.args[0])
	if err != nil {
		return err
	}
	if !has(set, name) {
		return fmt.Errorf("there is no account %s", name) // before the password is asked for
	}
	v, err := call.verifier()
	if err != nil {
		return err
	}
	return call.edit(false, func(d *accounts.Draft) error {
		return d.Change(call.args[0], func(a *accounts.Account) { a.Verifier = v })
	})
}

func userScopes(call *accountCall) error {
	scopes, err := accounts.ParseScopes(call.args[1])
	if err != nil {
		return err
	}
	return call.edit(false, func(d *accounts.Draft) error {
		return d.Change(call.args[0], func(a *accounts.Account) { a.Scopes = scopes })
	})
}

func userDisable(call *accountCall) error { return call.setDisabled(true) }
func userEnable(call *accountCall) error  { return call.setDisabled(false) }

func (call *accountCall) setDisabled(to bool) error {
	return call.edit(false, func(d *accounts.Draft) error {
		return d.Change(call.args[0], func(a *accounts.Account) { a.Disabled = to })
	})
}

func userDel(call *accountCall) error {
	return call.edit(false, func(d *accounts.Draft) error {
		_, err := d.Delete(call.args[0])
		return err
	})
}

func userList(call *accountCall) error {
	set, err := accounts.ReadFile(call.file)
	if err != nil {
		return err
	}
	tokens := map[string]int{}
	for i := range set.Tokens() {
		tokens[set.Tokens()[i].Account]++
	}
	w := tabwriter.NewWriter(call.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tSCOPES\tTOKENS\tITERATIONS")
	for i := range set.Accounts() {
		a := &set.Accounts()[i]
		state := "enabled"
		if a.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", a.Name, state, scopesText(a.Scopes), tokens[a.Name], a.Verifier.Iterations)
	}
	return w.Flush()
}

func tokenIssue(call *accountCall) error {
	var expires time.Time
	if call.expires != "never" {
		d, err := time.ParseDuration(call.expires)
		if err != nil || d < time.Minute || d > 100*365*24*time.Hour {
			return say.Wrong("-expires", call.expires, "must be a duration such as 720h, 1m to 876000h, or never")
		}
		expires = call.now.Add(d)
	}
	var token string
	err := call.edit(false, func(d *accounts.Draft) (err error) {
		scopes, err := call.tokenScopes(d.Set())
		if err != nil {
			return err
		}
		token, err = d.Issue(call.args[0], call.args[1], scopes, call.now, expires)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(call.stdout, token)
	return err
}

// tokenScopes are those that were asked for, or the account's.
func (call *accountCall) tokenScopes(set *accounts.Set) ([]string, error) {
	if call.scopes != "" {
		return accounts.ParseScopes(call.scopes)
	}
	name, err := accounts.PrepareName(call.args[0])
	for i := range set.Accounts() {
		if a := &set.Accounts()[i]; a.Name == name {
			return a.Scopes, nil
		}
	}
	return nil, err // Issue says that there is none
}

func tokenRevoke(call *accountCall) error {
	return call.edit(false, func(d *accounts.Draft) error { return d.Revoke(call.args[0], call.args[1]) })
}

func tokenList(call *accountCall) error {
	set, err := accounts.ReadFile(call.file)
	if err != nil {
		return err
	}
	only := ""
	if len(call.args) > 0 {
		if only, err = accounts.PrepareName(call.args[0]); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(call.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tLABEL\tSCOPES\tCREATED\tEXPIRES")
	for i := range set.Tokens() {
		t := &set.Tokens()[i]
		if only != "" && t.Account != only {
			continue
		}
		expires := "never"
		if !t.Expires.IsZero() {
			expires = t.Expires.Format(time.RFC3339)
		}
		if t.Expired(call.now) {
			expires += " (expired)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Account, t.Label, scopesText(t.Scopes), t.Created.Format(time.RFC3339), expires)
	}
	return w.Flush()
}

func scopesText(scopes []string) string {
	if len(scopes) == 0 {
		return "-"
	}
	return strings.Join(scopes, ",")
}

// verifier asks for a password and hashes it, which takes a fraction of a second.
func (call *accountCall) verifier() (v accounts.Verifier, err error) {
	password, err := call.password()
	if err != nil {
		return v, err
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
func (call *accountCall) password() (string, error) {
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
			os.Exit(exitFailed)
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
