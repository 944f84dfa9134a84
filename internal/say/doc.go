// Package say is how weir speaks with its operator: numbers, sizes and durations as they are typed and read back, text in
// one line that nothing from outside can break, and errors that say in one line what is wrong and what would be
// right. It knows no flag. The packages that print for people use it: cmd/server and those made for it. Any goroutine.
package say
