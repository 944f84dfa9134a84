package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/internal/lab"
)

const password = "correct horse battery"

// doors is a server that asks who people are: alice may read and write, bob may read.
type doors struct {
	*lab.Server
	at     map[string]string // host:port by scheme
	ca     *lab.Authority
	caFile string
	users  string
}

// patient lets tests connect and fail as often as they want to, patientPlain those without TLS.
var patient = append([]string{"-source-handshake-rate", "0"}, patientPlain...)

var patientPlain = []string{"-source-conn-rate", "0", "-auth-source-rate", "1000000", "-auth-source-burst", "1000000", "-auth-pair-rate", "1000000", "-auth-pair-burst", "1000000",
	"-auth-account-rate", "1000000", "-auth-account-burst", "1000000"}

// startDoors starts it with listeners of the schemes given, each with parameters behind a question mark or none.
func startDoors(t testing.TB, schemes []string, flags ...string) *doors {
	t.Helper()
	d := &doors{at: map[string]string{}, users: filepath.Join(t.TempDir(), "users"), ca: lab.NewAuthority()}
	d.caFile = d.ca.File(t)
	d.weir(t, "user add -scopes read,write alice")
	d.weir(t, "user add -scopes read bob")
	secret := false
	for i, addr := range lab.FreePorts(t, len(schemes)) {
		scheme, query, _ := strings.Cut(schemes[i], "?")
		d.at[scheme] = addr
		flags = append(flags, "-listen", scheme+"://"+addr+"?auth=required&"+query)
		secret = secret || strings.HasSuffix(scheme, "s") && scheme != "frames" || strings.HasSuffix(scheme, "+tls")
	}
	if secret {
		cert, key := d.ca.Files(t, "localhost")
		flags = append(flags, "-cert", cert, "-key", key)
	}
	d.Server = lab.Start(t, nil, append(flags, "-users", d.users, "-log-format", "json")...)
	return d
}

// weir runs a command for accounts and returns what it printed.
func (d *doors) weir(t testing.TB, command string) string {
	t.Helper()
	f := strings.Fields(command)
	cmd := exec.Command(lab.Command(t, "server"), append(append(f[:2:2], "-users", d.users), f[2:]...)...)
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("weir %s: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// talk is a connection on which messages are lines or frames.
type talk struct {
	net.Conn
	lines bool
	in    *bufio.Reader
}

func newTalk(c net.Conn, scheme string) *talk {
	c.SetDeadline(time.Now().Add(patience))
	return &talk{c, strings.HasPrefix(scheme, "line"), bufio.NewReader(c)}
}

// dial connects to a listener; from is a source address, "" for any.
func (d *doors) dial(t testing.TB, scheme, from string) *talk {
	t.Helper()
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := dialer.Dial("tcp", d.at[scheme])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if strings.HasSuffix(scheme, "+tls") {
		secret := tls.Client(c, &tls.Config{RootCAs: d.ca.Pool, ServerName: "localhost"})
		if err := secret.Handshake(); err != nil {
			t.Fatal(err)
		}
		c = secret
	}
	return newTalk(c, scheme)
}

func (c *talk) say(text string) error {
	b := append([]byte(text), '\n')
	if !c.lines {
		b = append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	}
	_, err := c.Write(b)
	return err
}

func (c *talk) hear() (string, error) {
	if c.lines {
		line, err := c.in.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err
	}
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c.in, b)
	return string(b), err
}

// login makes a login by somebody else's SCRAM and returns the server's last word.
func (c *talk) login(mechanism string, conversation *scram.ClientConversation) (string, error) {
	word, challenge := "AUTH "+mechanism, ""
	for {
		response, err := conversation.Step(challenge)
		if err != nil {
			return "", err
		}
		if err := c.say(word + " " + base64.StdEncoding.EncodeToString([]byte(response))); err != nil {
			return "", err
		}
		answer, err := c.hear()
		if err != nil {
			return "", err
		}
		b64, more := strings.CutPrefix(answer, "+ ")
		final, ok := strings.CutPrefix(answer, "OK ")
		if !more && !ok {
			return answer, nil
		}
		if ok {
			b64 = final
		}
		b, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			return "", err
		}
		if !ok {
			word, challenge = "+", string(b)
			continue
		}
		if _, err = conversation.Step(string(b)); err == nil && !conversation.Valid() {
			err = errors.New("the server does not know the password itself")
		}
		return "OK", err
	}
}

// token logs in by a token and returns the server's word.
func (c *talk) token(token string) string {
	c.say("AUTH TOKEN " + base64.StdEncoding.EncodeToString([]byte(token)))
	word, _ := c.hear()
	return word
}

func newScram(t testing.TB, name, password string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return c.WithMinIterations(600_000)
}

func binding(t testing.TB, c *tls.Conn) scram.ChannelBinding {
	t.Helper()
	state := c.ConnectionState()
	b, err := scram.NewTLSExporterBinding(&state)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var allText = []string{"frames", "line", "frames+tls", "line+tls"}

// TestLoginsOfOtherClients has a SCRAM that we have not written log in over frames and lines, by TLS and without, with
// channel binding and without, and has it fail.
func TestLoginsOfOtherClients(t *testing.T) {
	d := startDoors(t, allText, patient...)
	alice, wrong, nobody := newScram(t, "alice", password), newScram(t, "alice", "wrong horse battery"), newScram(t, "nobody", password)
	for _, scheme := range allText {
		for _, way := range []struct {
			mechanism string
			begin     func(*talk, *scram.Client) *scram.ClientConversation
		}{
			{"SCRAM-SHA-256", func(_ *talk, s *scram.Client) *scram.ClientConversation { return s.NewConversation() }},
			{"SCRAM-SHA-256-PLUS", func(c *talk, s *scram.Client) *scram.ClientConversation {
				return s.NewConversationWithChannelBinding(binding(t, c.Conn.(*tls.Conn)))
			}},
		} {
			if strings.HasSuffix(way.mechanism, "PLUS") && !strings.HasSuffix(scheme, "+tls") {
				continue
			}
			c := d.dial(t, scheme, "")
			word, err := c.login(way.mechanism, way.begin(c, alice))
			if err != nil || word != "OK" {
				t.Fatalf("%s, %s: %q, %v", scheme, way.mechanism, word, err)
			}
			c.say("hello")
			if echo, err := c.hear(); echo != "hello" {
				t.Errorf("%s, %s: behind the login %q, %v", scheme, way.mechanism, echo, err)
			}
			for why, s := range map[string]*scram.Client{"a wrong password": wrong, "no such account": nobody} {
				c := d.dial(t, scheme, "")
				if word, err := c.login(way.mechanism, way.begin(c, s)); err != nil || word != "ERR not authenticated" {
					t.Errorf("%s, %s, %s: %q, %v", scheme, way.mechanism, why, word, err)
				}
				if _, err := c.hear(); err == nil {
					t.Errorf("%s, %s: the connection lives on", scheme, why)
				}
			}
		}
		c := d.dial(t, scheme, "")
		c.say("hello")
		if word, _ := c.hear(); !strings.HasPrefix(word, "ERR ") {
			t.Errorf("%s, without a login: %q", scheme, word)
		}
	}
	if m := scrape(t, d.Server); m["weir_logins_total"] != 6 || m.Shed("auth-failed") < 12 {
		t.Errorf("%v logins, %v failed", m["weir_logins_total"], m.Shed("auth-failed"))
	}
}

// TestRelayedLogin puts somebody between the client and the server whose certificate the client takes.
func TestRelayedLogin(t *testing.T) {
	d := startDoors(t, []string{"frames+tls"}, patient...)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{d.ca.Issue("localhost")}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := tls.Dial("tcp", d.at["frames+tls"], &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					return
				}
				defer up.Close()
				go func() { io.Copy(up, c); up.CloseWrite() }()
				io.Copy(c, up)
			}()
		}
	}()
	alice := newScram(t, "alice", password)
	for _, tc := range []struct {
		why, mechanism, want string
		begin                func(*tls.Conn) *scram.ClientConversation
	}{
		{"bound to the connection to the wrong one", "SCRAM-SHA-256-PLUS", "ERR not authenticated", func(c *tls.Conn) *scram.ClientConversation {
			return alice.NewConversationWithChannelBinding(binding(t, c))
		}},
		{"told that there is no binding", "SCRAM-SHA-256", "ERR the connection is tampered with: SCRAM-SHA-256-PLUS is offered", func(*tls.Conn) *scram.ClientConversation { return alice.NewConversationAdvertisingChannelBinding() }},
		{"a client that cannot bind is relayed: that is what -auth-bind is for", "SCRAM-SHA-256", "OK", func(*tls.Conn) *scram.ClientConversation { return alice.NewConversation() }},
	} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: d.ca.Pool, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		if word, err := newTalk(c, "frames").login(tc.mechanism, tc.begin(c)); err != nil || word != tc.want {
			t.Errorf("%s: %q, %v", tc.why, word, err)
		}
		c.Close()
	}
}

// TestPythonClient runs the example of the docs.
func TestPythonClient(t *testing.T) {
	python := lab.Need(t, "python3")
	d := startDoors(t, []string{"frames", "frames+tls"}, patient...)
	token := d.weir(t, "token issue alice ci")
	lab.Eventually(t, 30*time.Second, "the token is known", func() bool {
		c := d.dial(t, "frames+tls", "")
		defer c.Close() // too many that are left open look like an attack
		return c.token(token) == "OK"
	})
	_, port, _ := net.SplitHostPort(d.at["frames+tls"])
	secret := "frames+tls://localhost:" + port
	for _, c := range []struct {
		why, env, args, want string
	}{
		{"a password", "WEIR_PASSWORD=" + password, "frames://" + d.at["frames"] + " --user alice", "hello\nagain\n"},
		{"signed frames", "WEIR_PASSWORD=" + password, "frames://" + d.at["frames"] + " --user alice --signed", "hello\nagain\n"},
		{"over TLS", "WEIR_PASSWORD=" + password, secret + " --user alice --signed --cafile " + d.caFile, "hello\nagain\n"},
		{"a token", "WEIR_TOKEN=" + token, secret + " --cafile " + d.caFile, "hello\nagain\n"},
		{"a wrong password", "WEIR_PASSWORD=wrong horse battery", "frames://" + d.at["frames"] + " --user alice", "client: not authenticated\n"},
		{"a wrong token", "WEIR_TOKEN=" + token[:47] + "_", secret + " --cafile " + d.caFile, "client: not authenticated\n"},
	} {
		cmd := exec.Command(python, append([]string{"../../docs/examples/client.py"}, append(strings.Fields(c.args), "hello", "again")...)...)
		cmd.Env = append(os.Environ(), c.env)
		if out, _ := cmd.CombinedOutput(); string(out) != c.want {
			t.Errorf("%s: %s", c.why, out)
		}
	}
}

// TestAccountsChangeWhileRunning issues, revokes, lets expire, disables, enables, adds and breaks.
func TestAccountsChangeWhileRunning(t *testing.T) {
	d := startDoors(t, []string{"line", "line+tls", "https"}, patient...)
	alice, bob := newScram(t, "alice", password), newScram(t, "bob", password)
	login := func(s *scram.Client) bool {
		c := d.dial(t, "line", "")
		defer c.Close()
		word, err := c.login("SCRAM-SHA-256", s.NewConversation())
		return err == nil && word == "OK"
	}
	byToken := func(token string) bool {
		c := d.dial(t, "line+tls", "")
		defer c.Close()
		return c.token(token) == "OK"
	}
	bearer := func(token string) int {
		req, _ := http.NewRequest("GET", "https://"+d.at["https"]+"/", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.ca.Pool, ServerName: "localhost"}}
		defer tr.CloseIdleConnections()
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	within := func(what string, ok func() bool) {
		t.Helper()
		begin := time.Now()
		lab.Eventually(t, 30*time.Second, what, ok)
		t.Logf("%s after %s", what, time.Since(begin).Round(10*time.Millisecond))
	}
	if !login(alice) || !login(bob) {
		t.Fatal("nobody gets in")
	}
	first, second := d.weir(t, "token issue alice first"), d.weir(t, "token issue -expires 1h alice second")
	within("both tokens are good", func() bool { return byToken(first) && byToken(second) && bearer(first) == 200 && bearer(second) == 200 })
	d.weir(t, "token revoke alice first")
	within("the one that was revoked is not", func() bool { return !byToken(first) && bearer(first) == 401 })
	if !byToken(second) {
		t.Error("and the other one is neither")
	}
	// An hour is long: the file says that it was shorter.
	old, err := os.ReadFile(d.users)
	if err != nil {
		t.Fatal(err)
	}
	expires := regexp.MustCompile(`expires=\S+`)
	if err := os.WriteFile(d.users, expires.ReplaceAll(old, []byte("expires="+time.Now().UTC().Add(3*time.Second).Format(time.RFC3339))), 0o600); err != nil {
		t.Fatal(err)
	}
	within("the other one has expired", func() bool { return !byToken(second) && bearer(second) == 401 })
	if list := d.weir(t, "token list alice"); !strings.Contains(list, "(expired)") {
		t.Errorf("it is listed as %s", list)
	}

	d.weir(t, "user disable bob")
	within("bob is disabled", func() bool { return !login(bob) })
	d.weir(t, "user enable bob")
	within("bob is enabled", func() bool { return login(bob) })

	d.weir(t, "user add carol")
	d.Signal(t, syscall.SIGHUP)
	carol := newScram(t, "carol", password)
	within("carol is known after SIGHUP", func() bool { return login(carol) })
	lab.Eventually(t, patience, "the log has the signal and the accounts", func() bool {
		log := d.Log()
		return strings.Contains(log, `"event":"signal"`) && strings.Contains(log, `"event":"accounts_reloaded"`)
	})

	good, err := os.ReadFile(d.users)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{string(good) + "user\n", "", string(good[:len(good)-40])} {
		failed := strings.Count(d.Log(), `"event":"accounts_reload_failed"`)
		if err := os.WriteFile(d.users, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		within("a broken file is told of", func() bool { return strings.Count(d.Log(), `"event":"accounts_reload_failed"`) > failed })
		if !login(alice) || !login(carol) {
			t.Error("the old accounts are gone")
		}
	}
	reloaded := strings.Count(d.Log(), `"event":"accounts_reloaded"`)
	if err := os.WriteFile(d.users, append(good, "# repaired\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	within("the good file is read again", func() bool { return strings.Count(d.Log(), `"event":"accounts_reloaded"`) > reloaded })
	if !login(alice) {
		t.Error("and alice does not get in")
	}
	d.Alive(t)
}

// TestSessionsEndWithTheirLogin revokes, lets expire, disables, removes and changes passwords of who is connected by
// frames and lines: each connection answers what comes before and nothing behind it, and nobody else's ends.
func TestSessionsEndWithTheirLogin(t *testing.T) {
	d := startDoors(t, allText, patient...)
	for _, name := range []string{"carol", "dave", "erin", "frank"} {
		d.weir(t, "user add "+name)
	}
	tokens := map[string]string{}
	for _, label := range []string{"revoked", "expires", "stays"} {
		tokens[label] = d.weir(t, "token issue -expires 1h frank "+label)
	}
	d.Signal(t, syscall.SIGHUP)
	lab.Eventually(t, 30*time.Second, "the last token is known", func() bool {
		c := d.dial(t, "line+tls", "")
		defer c.Close()
		return c.token(tokens["stays"]) == "OK"
	})
	failed := scrape(t, d.Server).Shed("auth-failed")
	type session struct {
		*talk
		scheme, who string
	}
	var open []session
	clients := map[string]*scram.Client{} // each hashes its password once
	for _, scheme := range allText {
		for _, who := range []string{"alice", "carol", "dave", "erin"} {
			if clients[who] == nil {
				clients[who] = newScram(t, who, password)
			}
			c := d.dial(t, scheme, "")
			if word, err := c.login("SCRAM-SHA-256", clients[who].NewConversation()); err != nil || word != "OK" {
				t.Fatalf("%s, %s: %q, %v", scheme, who, word, err)
			}
			open = append(open, session{c, scheme, who})
		}
		if !strings.HasSuffix(scheme, "+tls") {
			continue
		}
		for label, token := range tokens {
			c := d.dial(t, scheme, "")
			if word := c.token(token); word != "OK" {
				t.Fatalf("%s, %s: %q", scheme, label, word)
			}
			open = append(open, session{c, scheme, label})
		}
	}
	lastWords := map[*talk]string{}
	lives := func(s session) bool {
		s.SetDeadline(time.Now().Add(patience))
		if err := s.say("hello"); err != nil {
			return false
		}
		text, err := s.hear()
		if err == nil && text != "hello" {
			lastWords[s.talk] = text
		}
		return err == nil && text == "hello"
	}
	gone := map[string]bool{}
	var expiry time.Time
	for _, change := range []struct {
		who string
		do  func()
	}{
		{"nobody", func() { d.weir(t, "user scopes bob read,write") }},
		{"revoked", func() { d.weir(t, "token revoke frank revoked") }},
		{"carol", func() { d.weir(t, "user disable carol") }},
		{"dave", func() { d.weir(t, "user del dave") }},
		{"erin", func() { d.weir(t, "user passwd erin") }}, // the same one, with another salt: it was for a reason
		{"expires", func() {
			old, err := os.ReadFile(d.users)
			if err != nil {
				t.Fatal(err)
			}
			soon := regexp.MustCompile(`(token frank expires .*expires=)\S+`)
			expiry = time.Now().UTC().Add(7 * time.Second).Truncate(time.Second)
			if err := os.WriteFile(d.users, soon.ReplaceAll(old, []byte("${1}"+expiry.Format(time.RFC3339))), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		reloaded := strings.Count(d.Log(), `"event":"accounts_reloaded"`)
		change.do()
		d.Signal(t, syscall.SIGHUP)
		lab.Eventually(t, patience, "the accounts are read", func() bool { return strings.Count(d.Log(), `"event":"accounts_reloaded"`) > reloaded })
		if change.who == "expires" {
			for _, s := range open { // before its time
				if ok := lives(s); !gone[s.who] && !ok && time.Now().Before(expiry) {
					t.Errorf("%s over %s: ended too early", s.who, s.scheme)
				}
			}
			time.Sleep(time.Until(expiry.Add(100 * time.Millisecond)))
		}
		gone[change.who] = true
		for _, s := range open {
			ok := lives(s)
			if !ok {
				s.Close()
			}
			if ok == gone[s.who] {
				t.Errorf("%s over %s lives: %v, after %s", s.who, s.scheme, ok, change.who)
			}
			if last := lastWords[s.talk]; s.who == change.who && s.lines && last != "ERR not logged in any more" {
				t.Errorf("%s over %s: the last words are %q", s.who, s.scheme, last)
			}
		}
	}
	for detail, want := range map[string]int{"revoked": 2 + 3*4, "expired": 2} {
		lab.Eventually(t, patience, "all that were ended are told of", func() bool {
			return len(regexp.MustCompile(`"event":"auth_failure".*"detail":"`+detail+`"`).FindAllString(d.Log(), -1)) >= min(want, 5)
		})
	}
	if n := scrape(t, d.Server).Shed("auth-failed") - failed; n != 2+3*4+2 {
		t.Errorf("%v were ended", n)
	}
	d.Alive(t)
}

// TestCurlLogsIn uses passwords, tokens and certificates, with scopes for paths and methods.
func TestCurlLogsIn(t *testing.T) {
	lab.Need(t, "curl")
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "authorization %q", r.Header.Get("Authorization"))
	}))
	defer behind.Close()
	ca := lab.NewAuthority()
	relayed := lab.FreePorts(t, 1)[0]
	rules := "scope=read,POST:/echo=write,/whoami=admin"
	d := startDoors(t, []string{"https?tls-client-auth=optional&" + rules, "http?" + rules}, append([]string{"-tls-client-ca", ca.File(t),
		"-listen", "http://" + relayed + "?auth=required&to=" + strings.TrimPrefix(behind.URL, "http://")}, patient...)...)
	token := d.weir(t, "token issue -scopes read alice ci")
	aliceCert, aliceKey := ca.Files(t, "alice")
	strangerCert, strangerKey := ca.Files(t, "stranger")
	_, port, _ := net.SplitHostPort(d.at["https"])
	url, plain := "https://localhost:"+port, "http://"+d.at["http"]
	curl := func(args ...string) string {
		out, _ := exec.Command("curl", append([]string{"-si", "-m", "60", "--noproxy", "*", "--cacert", d.caFile}, args...)...).CombinedOutput()
		return string(out)
	}
	lab.Eventually(t, 30*time.Second, "the token is known", func() bool {
		return strings.HasPrefix(curl("-H", "Authorization: Bearer "+token, url+"/"), "HTTP/1.1 200 ")
	})
	bearer := []string{"-H", "Authorization: Bearer " + token}
	wrong := []string{"-H", "Authorization: Bearer " + token[:47] + "_"}
	basic := `WWW-Authenticate: Basic realm="weir", charset="UTF-8"`
	for _, c := range []struct {
		why  string
		args []string
		want []string
	}{
		{"nobody", []string{url + "/"}, []string{"HTTP/1.1 401 ", basic, `WWW-Authenticate: Bearer realm="weir"` + "\r\n", "Cache-Control: no-store"}},
		{"a password", []string{"-u", "alice:" + password, url + "/"}, []string{"HTTP/1.1 200 ", "hello, world!"}},
		{"a password, without TLS on this machine", []string{"-u", "alice:" + password, plain + "/"}, []string{"HTTP/1.1 200 "}},
		{"a wrong password", []string{"-u", "alice:wrong", url + "/"}, []string{"HTTP/1.1 401 ", basic, `Bearer realm="weir"` + "\r\n"}},
		{"no such account", []string{"-u", "nobody:wrong", url + "/"}, []string{"HTTP/1.1 401 ", basic}},
		{"asked first, as curl does with --anyauth", []string{"--anyauth", "-u", "alice:" + password, url + "/"}, []string{"HTTP/1.1 401 ", "HTTP/1.1 200 "}},
		{"a token", append(bearer, url+"/"), []string{"HTTP/1.1 200 "}},
		{"a wrong token", append(wrong, url+"/"), []string{"HTTP/1.1 401 ", `Bearer realm="weir", error="invalid_token"`}},
		{"a certificate", []string{"--cert", aliceCert, "--key", aliceKey, url + "/"}, []string{"HTTP/1.1 200 "}},
		{"one that names no account", []string{"--cert", strangerCert, "--key", strangerKey, url + "/"}, []string{"HTTP/1.1 401 "}},
		{"a certificate may write", []string{"--cert", aliceCert, "--key", aliceKey, "-d", "body", url + "/echo"}, []string{"HTTP/1.1 200 ", "body"}},
		{"so may the password", []string{"-u", "alice:" + password, "-d", "body", url + "/echo"}, []string{"HTTP/1.1 200 ", "body"}},
		{"the token may not, though its account may", append(bearer, "-d", "body", url+"/echo"), []string{"HTTP/1.1 403 ", `WWW-Authenticate: Bearer realm="weir", error="insufficient_scope"`, "Cache-Control: no-store", "Connection: close"}},
		{"nor may bob", []string{"-u", "bob:" + password, "-d", "body", url + "/echo"}, []string{"HTTP/1.1 403 "}},
		{"with another method the path is free", []string{"-u", "bob:" + password, "-X", "PUT", "-d", "body", url + "/echo"}, []string{"HTTP/1.1 200 "}},
		{"nobody has the scope of this path", []string{"-u", "alice:" + password, url + "/whoami"}, []string{"HTTP/1.1 403 "}},
		{"nor in capitals", []string{"-u", "alice:" + password, url + "/WhoAmI"}, []string{"HTTP/1.1 403 "}},
		{"nor encoded", []string{"-u", "alice:" + password, url + "/%77hoami"}, []string{"HTTP/1.1 403 "}},
		{"nor by a way around", []string{"--path-as-is", "-u", "alice:" + password, url + "/x/../whoami"}, []string{"HTTP/1.1 400 "}},
		{"HEAD has no body", []string{"-I", url + "/"}, []string{"HTTP/1.1 401 ", basic}},
		{"a relay asks too", []string{"http://" + relayed + "/"}, []string{"HTTP/1.1 401 ", basic}},
		{"and keeps the password to itself", []string{"-u", "alice:" + password, "http://" + relayed + "/"}, []string{"HTTP/1.1 200 ", `authorization ""`}},
	} {
		out := curl(c.args...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", c.why, want, out)
			}
		}
		if strings.Contains(c.want[len(c.want)-1], " 40") && strings.Contains(out, "hello, world") {
			t.Errorf("%s: it was served", c.why)
		}
	}
	if m := scrape(t, d.Server); m.Shed("scope") < 5 || m["weir_logins_total"] < 5 {
		t.Errorf("%v out of scope, %v logins", m.Shed("scope"), m["weir_logins_total"])
	}
}
