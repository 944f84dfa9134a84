package sasl_test

import (
	"fmt"

	"weir/engine/auth/accounts"
	"weir/engine/auth/sasl"
)

// A login from both sides, without a network between.
func Example() {
	set, err := accounts.Parse([]byte(`weir-accounts 1 decoy=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
user user scopes=read verifier=SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	server, _ := sasl.NewServer(sasl.Config{Accounts: func() *accounts.Set { return set }})
	exchange := server.Begin(nil, nil) // for each connection
	client, _ := sasl.NewClient(sasl.Credentials{Name: "user", Password: "pencil", MinIterations: 4096}, nil)

	for msg, done := client.Start(), false; !done; {
		answer, _, _ := exchange.Step(msg) // the error is for the log, the answer for the client
		if msg, done, err = client.Step(answer); err != nil {
			fmt.Println(err)
			return
		}
	}
	who, in := exchange.Result()
	fmt.Println(in, who.Account, who.Mechanism, who.Has("read"), who.Has("write"))
	// Output: true user SCRAM-SHA-256 true false
}
