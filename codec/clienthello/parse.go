package clienthello

const (
	extServerName        = 0
	extALPN              = 16
	extPreSharedKey      = 41
	extSupportedVersions = 43
	extECH               = 0xfe0d

	nameHost = 0 // NameType host_name

	tls12 = 0x0303
)

// parse reads the whole message m into d.hello and reports whether it is well-formed.
func (d *Decoder) parse(m []byte) bool {
	h := &d.hello
	h.Message = m
	c := cursor(m[headBytes:])
	legacy, _ := c.uint16() // minHello bytes are there
	c.take(32)              // random
	if legacy>>8 >= 3 {
		h.Version = min(legacy, tls12) // unless supported_versions says more
	}
	if _, ok := c.vector8(); !ok { // session_id
		return false
	}
	if suites, ok := c.vector16(); !ok || len(suites)%2 != 0 {
		return false
	}
	if _, ok := c.vector8(); !ok { // compression
		return false
	}
	if len(c) == 0 { // RFC 5246 7.4.1.2: there may be no extensions at all
		return true
	}
	extensions, ok := c.vector16()
	return ok && len(c) == 0 && d.extensions(extensions)
}

// extensions reads those that matter and compares the types of all.
func (d *Decoder) extensions(all cursor) bool {
	h := &d.hello
	var set typeSet
	many := false // more uncommon types than set holds; all have been compared
	for c := all; len(c) > 0; {
		typ, ok := c.uint16()
		if !ok {
			return false
		}
		data, ok := c.vector16()
		if !ok {
			return false
		}
		if !many {
			switch set.add(typ) {
			case again:
				return false
			case full:
				if many = true; !distinct(all) {
					return false
				}
			}
		}
		switch typ {
		case extServerName:
			ok = d.serverName(data)
		case extALPN:
			h.ALPN, ok = protocols(data)
		case extSupportedVersions:
			h.Version, ok = highest(data)
		case extPreSharedKey:
			ok = len(c) == 0
		case extECH:
			h.ECH = true
		}
		if !ok {
			return false
		}
	}
	return true
}

// serverName reads a ServerNameList (RFC 6066 3): names of other types are skipped, and there may
// be one host name.
func (d *Decoder) serverName(data cursor) bool {
	list, ok := data.vector16()
	if !ok || len(data) > 0 || len(list) == 0 {
		return false
	}
	var raw []byte
	for len(list) > 0 {
		typ, _ := list.take(1)
		name, ok := list.vector16()
		if !ok || len(name) == 0 {
			return false
		}
		if typ[0] != nameHost {
			continue
		}
		if raw != nil || name[len(name)-1] == '.' {
			return false
		}
		raw = name
	}
	d.hello.RawServerName = raw
	if good, capitals := hostName(raw); good {
		d.hello.ServerName = raw
		if capitals {
			d.lower = append(d.lower[:0], raw...)
			lower(d.lower)
			d.hello.ServerName = d.lower[:len(raw):len(raw)]
		}
	}
	return true
}

// protocols checks a ProtocolNameList (RFC 7301 3.1) and returns its inside.
func protocols(data cursor) (Protocols, bool) {
	list, ok := data.vector16()
	if !ok || len(data) > 0 || len(list) == 0 {
		return nil, false
	}
	for c := list; len(c) > 0; {
		if name, ok := c.vector8(); !ok || len(name) == 0 {
			return nil, false
		}
	}
	return Protocols(list), true
}

// highest checks the list of supported_versions and returns the highest of TLS, or 0. GREASE
// (RFC 8701) and drafts do not begin with 3.
func highest(data cursor) (version uint16, ok bool) {
	list, ok := data.vector8()
	if !ok || len(data) > 0 || len(list) == 0 || len(list)%2 != 0 {
		return 0, false
	}
	for len(list) > 0 {
		if v, _ := list.uint16(); v>>8 == 3 {
			version = max(version, v)
		}
	}
	return version, true
}
