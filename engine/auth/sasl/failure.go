package sasl

// Failure is why an exchange has failed. A closed list of small integers; it satisfies error.
type Failure uint8

// The list. Those that say something about an account are all Denied.
const (
	BadMessage   Failure = iota + 1 // not the next message, or not as it must be written
	NotOffered                      // a mechanism that is unknown, or off here
	NeedsTLS                        // a token, or its signed frames, on a plain connection
	Downgraded                      // the client believes that there is no -PLUS: somebody has told it so
	NeedsSigning                    // signed frames are required and were not asked for
	NoSigning                       // signed frames are off and were asked for
	TooMany                         // too many attempts
	Denied                          // unknown, disabled, wrong, expired, revoked, or bound to another connection
	failureCount
)

// Failures is the number of failures and one more: valid values are 1 ≤ f < Failures.
const Failures = int(failureCount)

var failureText = [Failures][2]string{
	BadMessage:   {"bad-message", "the message is malformed or out of order"},
	NotOffered:   {"not-offered", "this mechanism is not offered"},
	NeedsTLS:     {"needs-tls", "tokens need TLS"},
	Downgraded:   {"downgraded", "the connection is tampered with: SCRAM-SHA-256-PLUS is offered"},
	NeedsSigning: {"needs-signing", "signed frames are required"},
	NoSigning:    {"no-signing", "signed frames are not offered"},
	TooMany:      {"too-many", "too many attempts, try again later"},
	Denied:       {"denied", "not authenticated"},
}

// Label is the failure's stable name for metrics and logs.
func (f Failure) Label() string {
	if f > 0 && int(f) < Failures {
		return failureText[f][0]
	}
	return "unknown"
}

// Error is what the peer is told after ERR.
func (f Failure) Error() string {
	if f > 0 && int(f) < Failures {
		return failureText[f][1]
	}
	return "unknown failure"
}
