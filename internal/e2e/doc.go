// Package e2e holds the end-to-end tests: the real server under the clients and attack tools that
// people know. It has no code of its own. A test whose tool is missing is skipped, and fails when
// CI=true.
package e2e
