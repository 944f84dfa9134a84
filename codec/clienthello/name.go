package clienthello

// hostName reports whether name is a host name as the package comment has it, and whether it has
// capitals. It is O(n) and gives up behind 253 bytes.
func hostName(name []byte) (good, capitals bool) {
	if len(name) == 0 || len(name) > 253 {
		return false, false
	}
	label := 0      // bytes of the present label
	letter := false // one of them is no digit
	for _, c := range name {
		switch {
		case '0' <= c && c <= '9':
		case 'a' <= c && c <= 'z', c == '_', c == '-' && label > 0:
			letter = true
		case 'A' <= c && c <= 'Z':
			letter, capitals = true, true
		case c == '.' && label > 0:
			label, letter = 0, false
			continue
		default:
			return false, false
		}
		if label++; label > 63 {
			return false, false
		}
	}
	return label > 0 && letter, capitals
}

// lower puts the ASCII letters of name in lower case, in place.
func lower(name []byte) {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
}
