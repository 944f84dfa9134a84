package hello

import (
	"encoding/json"

	"weir/codec/http1"
	"weir/engine/service"
)

// identity is what /whoami answers. Times are in seconds, rates per second; a limit of 0 is none.
type identity struct {
	Peer     string `json:"peer"`
	Listener string `json:"listener"`
	Guard    struct {
		Source          string  `json:"source"`
		Exempt          bool    `json:"exempt"`
		SourceConns     int     `json:"source_conns"`
		SourceConnLimit int     `json:"source_conn_limit"`
		FramesLeft      int     `json:"frames_left"`
		FrameRate       int     `json:"frame_rate"`
		BytesLeft       int     `json:"bytes_left"`
		ByteRate        int     `json:"byte_rate"`
		Age             float64 `json:"age"`
		Frames          uint64  `json:"frames"`
		BytesIn         uint64  `json:"bytes_in"`
		BytesOut        uint64  `json:"bytes_out"`
	} `json:"guard"`
	TLS *secured `json:"tls,omitempty"`
}

// secured is what /whoami tells of a TLS connection.
type secured struct {
	Version     string `json:"version"`
	CipherSuite string `json:"cipher_suite"`
	ServerName  string `json:"server_name,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	Resumed     bool   `json:"resumed"`
	Client      string `json:"client,omitempty"`
}

func (s *session) whoami(c service.Conn, r *http1.Request) {
	id := identity{Peer: "unix", Listener: c.Listener()}
	if p := c.Peer(); p.IsValid() {
		id.Peer = p.String()
	}
	st, g := c.Standing(), &id.Guard
	g.Source, g.Exempt, g.SourceConns, g.SourceConnLimit = st.Source, st.Exempt, st.SourceConns, st.SourceConnLimit
	g.FramesLeft, g.FrameRate, g.BytesLeft, g.ByteRate = st.FramesLeft, st.FrameRate, st.BytesLeft, st.ByteRate
	g.Age, g.Frames, g.BytesIn, g.BytesOut = st.Age.Seconds(), st.Frames, st.BytesIn, st.BytesOut
	if t := c.TLS(); t != nil {
		id.TLS = &secured{t.Version, t.CipherSuite, t.ServerName, t.Protocol, t.Resumed, t.ClientName()}
	}
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil { // strings and numbers only
		panic(err)
	}
	text = append(text, '\n')
	s.head(c, r, http1.Head{Status: 200, ContentType: "application/json", Length: int64(len(text))})
	if !r.Head {
		c.Write(text)
	}
}
