package usercmd

import (
	"fmt"
	"text/tabwriter"
	"time"

	"weir/engine/auth/accounts"
	"weir/internal/say"
)

func tokenIssue(call *invocation) error {
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
func (call *invocation) tokenScopes(set *accounts.Set) ([]string, error) {
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

func tokenRevoke(call *invocation) error {
	return call.edit(false, func(d *accounts.Draft) error { return d.Revoke(call.args[0], call.args[1]) })
}

func tokenList(call *invocation) error {
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
