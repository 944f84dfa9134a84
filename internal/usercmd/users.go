package usercmd

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"weir/engine/auth/accounts"
)

func userAdd(call *invocation) error {
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

func userPasswd(call *invocation) error {
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

func userScopes(call *invocation) error {
	scopes, err := accounts.ParseScopes(call.args[1])
	if err != nil {
		return err
	}
	return call.edit(false, func(d *accounts.Draft) error {
		return d.Change(call.args[0], func(a *accounts.Account) { a.Scopes = scopes })
	})
}

func userDisable(call *invocation) error { return call.setDisabled(true) }
func userEnable(call *invocation) error  { return call.setDisabled(false) }

func (call *invocation) setDisabled(to bool) error {
	return call.edit(false, func(d *accounts.Draft) error {
		return d.Change(call.args[0], func(a *accounts.Account) { a.Disabled = to })
	})
}

func userDel(call *invocation) error {
	return call.edit(false, func(d *accounts.Draft) error {
		_, err := d.Delete(call.args[0])
		return err
	})
}

func userList(call *invocation) error {
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

func scopesText(scopes []string) string {
	if len(scopes) == 0 {
		return "-"
	}
	return strings.Join(scopes, ",")
}
