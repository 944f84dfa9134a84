// Package posture is the posture check, -check: which of the practices that a server on the network should keep are on,
// off or weak with the settings in force. A practice is a Row, R1 to R17, and each is one function:
//
//	R1 R2 R5 R6      input.go    what comes in
//	R3 R4 R7         peers.go    from whom, how much of it and for how long
//	R8 R9 R11 R16    logins.go   who may
//	R10 R12          wire.go     what others on the way can do
//	R13 R14 R15 R17  operate.go  what the operator sees, and what is left when one layer fails
//
// It is given a Server, which is data: what is served to whom within which limits. It parses no flag, opens no file and
// asks nobody. cmd/server makes the Server from its settings, prints the Report, and draws the table in
// docs/operations.md from the rules.
//
// A flag that weakens a practice gets a Rule here, and a configuration in cmd/server's test of the check, which asks for
// one. What the rule reads is a field of Server or Listener. Not for concurrent use.
package posture
