// Package accounts holds who may log in: a file of accounts and their tokens, the immutable set that
// it is read into, and the changes that are made to it. Of passwords it keeps SCRAM-SHA-256 verifiers
// (RFC 5802, RFC 7677) and of tokens their SHA-256, so that the file lets nobody log in as another.
//
// It speaks no protocol (package sasl), limits no attempts (package attempts) and imports nothing of
// weir's, so that any server can use it.
//
// # The file
//
// Lines, so that a person can read it, a diff shows what changed, and grep finds an account; JSON
// would show none of the three and have no comments. One record a line, its fields in this order
// with one space between, so that there is one way to write each record and a misplaced word is an
// error:
//
//	weir-accounts 1 decoy=BASE64
//	user NAME scopes=SCOPE,... verifier=SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY [disabled]
//	token NAME LABEL scopes=SCOPE,... created=TIME expires=TIME hash=HEX
//
// Empty lines and those that begin with # are skipped, and kept when the file is changed. No scopes
// are "-", and so is no expiry. The verifier is written as PostgreSQL writes it in pg_authid, so
// that accounts can be taken over from there. A token comes after its account. Its scopes are those
// of both: what an account has lost, its tokens have lost too.
//
// decoy is a key of 32 bytes. The salt of a name that has no account is computed with it, so that it is
// the same at each try, after each restart and on each server with the file, as a real one is.
//
// # What a thief of the file can do
//
// Guess passwords at 600,000 iterations of HMAC-SHA-256 each, pretend to be the server to its
// clients, and, having recorded a login on a plain connection too, log in as that account (RFC
// 5802, 9). So the file must be readable by its owner only, or it is not read.
package accounts
