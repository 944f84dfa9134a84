package usercmd

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"weir/engine/auth/accounts"
	"weir/internal/say"
)

// Command is one of the commands that change a file of accounts: "weir user add". They run and
// exit; a server that has the file notices by itself.
type Command struct {
	name   string // "user add"
	args   string // what follows -users FILE, for people
	least  int    // arguments
	most   int
	scopes bool   // takes -scopes
	expiry bool   // takes -expires
	Help   string // what it does, without a full stop
	run    func(*invocation) error
}

// invocation is one call of a command.
type invocation struct {
	file    string
	args    []string
	scopes  string // "" when it was not given
	expires string
	stdin   *os.File
	stdout  io.Writer
	stderr  io.Writer
	now     time.Time
}

const defaultExpiry = "2160h" // 90 days

// Commands is the table: the commands, -help and docs/operations.md come from it.
var Commands = []Command{
	{name: "user add", args: "[-scopes LIST] NAME", least: 1, most: 1, scopes: true, run: userAdd,
		Help: "Make an account. The password is asked for twice, or read from a pipe; it has at least 12 characters. The file is made when there is none"},
	{name: "user passwd", args: "NAME", least: 1, most: 1, run: userPasswd, Help: "Change an account's password. Its tokens stay"},
	{name: "user scopes", args: "NAME LIST", least: 2, most: 2, run: userScopes, Help: "Change what an account may do, - for nothing. What it loses its tokens lose"},
	{name: "user disable", args: "NAME", least: 1, most: 1, run: userDisable, Help: "Let an account, and its tokens, log in no more"},
	{name: "user enable", args: "NAME", least: 1, most: 1, run: userEnable, Help: "Let it log in again"},
	{name: "user del", args: "NAME", least: 1, most: 1, run: userDel, Help: "Remove an account and its tokens"},
	{name: "user list", run: userList, Help: "List the accounts"},
	{name: "token issue", args: "[-scopes LIST] [-expires DURATION] NAME LABEL", least: 2, most: 2, scopes: true, expiry: true, run: tokenIssue,
		Help: "Make a token for an account and print it, this once. LABEL tells its tokens apart. Without -scopes it may do what the account may; -expires is " + defaultExpiry + " (90 days) by default, or never"},
	{name: "token revoke", args: "NAME LABEL", least: 2, most: 2, run: tokenRevoke, Help: "Make a token worthless"},
	{name: "token list", args: "[NAME]", most: 1, run: tokenList, Help: "List the tokens, or those of one account"},
}

// Is reports whether a command line is for one of the commands.
func Is(args []string) bool {
	return len(args) > 0 && (args[0] == "user" || args[0] == "token")
}

// Run runs "weir user ..." and "weir token ...", args being what follows weir. Its error is one line for the
// operator: a *say.WrongValue or *say.UsageError for a command line that is wrong, and others for what cannot be done.
// Whoever interrupts it while it asks for a password ends the process.
func Run(args []string, stdin *os.File, stdout, stderr io.Writer) error {
	call := &invocation{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now()}
	c, err := call.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(stdout)
		return nil
	}
	if err != nil {
		return err
	}
	return c.run(call)
}

func (call *invocation) parse(args []string) (*Command, error) {
	if len(args) == 1 || args[1] == "-h" || args[1] == "-help" || args[1] == "--help" {
		return nil, flag.ErrHelp
	}
	name := args[0] + " " + args[1]
	wrong := func(what string) error {
		return say.Usage(say.Shown(name) + ": " + what + "; weir " + args[0] + " -help tells more")
	}
	var c *Command
	for i := range Commands {
		if Commands[i].name == name {
			c = &Commands[i]
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

func printHelp(w io.Writer) {
	fmt.Fprint(w, "Accounts and tokens are in a file of their own, which only its owner may read.\nA server that has the file notices within two seconds. Passwords are never\narguments: others see those.\n")
	for i := range Commands {
		c := &Commands[i]
		fmt.Fprintf(w, "\n  %s\n", c.Usage())
		for _, line := range say.Wrap(c.Help+".", 70) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	}
}

// Usage is how one types it.
func (c *Command) Usage() string {
	return strings.TrimSpace("weir " + c.name + " -users FILE " + c.args)
}

func (call *invocation) edit(create bool, change func(*accounts.Draft) error) error {
	return accounts.Edit(call.file, create, change)
}
