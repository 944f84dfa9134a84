package events

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"weir/engine"
	"weir/guard"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{"plain text", "plain text", "stays"},
		{"naïve 日本", "naïve 日本", "letters of all languages stay"},
		{"a\r\n2026 error forged", `a\r\n2026 error forged`, "no second line"},
		{"\x1b[2J\x1b]0;x\a", `\x1b[2J\x1b]0;x\a`, "no ANSI escapes"},
		{"\u009b31m", `\u009b31m`, "nor their one-byte forms"},
		{"user\u202egnp.exe", `user\u202egnp.exe`, "no change of direction"},
		{"\u2066x\u2069\u200f", `\u2066x\u2069\u200f`, "nor isolates and marks"},
		{"a\u2028b\u0085c", `a\u2028b\u0085c`, "nor line ends that only some programs know"},
		{"a\u200bb\ufeff", `a\u200bb\ufeff`, "nothing invisible"},
		{"\x00\x7f", `\x00\x7f`, "no control bytes"},
		{"\xff\xfe", `\xff\xfe`, "no bytes outside of UTF-8"},
		{`a\nb`, `a\\nb`, "and an escape that was there is told from ours"},
		{"", "", "nothing is nothing"},
	} {
		if got := Clean(c.in, 100); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q: %s", c.in, got, c.want, c.why)
		}
	}
	if got := Clean(strings.Repeat("x", 1<<20), 10); got != "xxxxxxxxxx (and 1048566 bytes)" {
		t.Errorf("long text: %.80q", got)
	}
	if got := Clean("12345678日本", 10); got != "12345678 (and 6 bytes)" {
		t.Errorf("cut inside of a letter: %q", got)
	}
	if got := Clean("\x80\x80\x80\x80\x80\x80", 5); !strings.HasSuffix(got, " bytes)") || len(got) > 60 {
		t.Errorf("cut inside of garbage: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\r\n\x1b[31m\u202e\xff", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + (limit&0x7fffffff)%64
		got := Clean(s, limit)
		if len(got) > 10*limit+40 {
			t.Errorf("%d bytes for a limit of %d", len(got), limit)
		}
		for _, r := range got {
			if r == '\uFFFD' && !strings.ContainsRune(s, r) || r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Errorf("%q holds %U", got, r)
			}
		}
	})
}

// console is a logger whose lines go to out, as cmd/server makes it.
func console(out zapcore.WriteSyncer, json bool) *zap.Logger {
	enc := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	if json {
		enc = zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	}
	return zap.New(CleanCore(zapcore.NewCore(enc, out, zap.DebugLevel)))
}

type wireError struct{ s string }

func (e wireError) Error() string  { return e.s }
func (e wireError) String() string { return e.s }

func TestOneEventIsOneLine(t *testing.T) {
	const evil = "x\r\n{\"level\":\"error\"}\n\x1b[2J\u202e\u009b\x00\xff\u2028"
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		log := console(zapcore.AddSync(&out), asJSON)
		log.Info(evil, zap.String("a", evil), zap.Error(wireError{evil}), zap.Stringer("b", wireError{evil}),
			zap.ByteString("c", []byte(evil)), zap.Any("d", []string{evil}))
		log.With(zap.String("e", evil)).Warn("x" + strings.Repeat("y", 1<<20))
		r := NewRecorder(log, nil)
		r.Tell(engine.Event{Reason: guard.ShedPanic, Detail: evil, Stack: []byte("goroutine 1:\n\tmain.go:7" + evil), Listener: "web"})
		r.Close(time.Minute)
		if got := strings.Count(out.String(), "\n"); got != 3 {
			t.Errorf("json %v: %d lines instead of 3:\n%s", asJSON, got, out.String())
		}
		for _, c := range out.String() {
			if c != '\n' && c != '\t' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x2028) {
				t.Errorf("json %v: %U got through", asJSON, c)
			}
		}
		if out.Len() > 16<<10 {
			t.Errorf("json %v: %d bytes", asJSON, out.Len())
		}
	}
}

func TestEventFields(t *testing.T) {
	var out bytes.Buffer
	r := NewRecorder(console(zapcore.AddSync(&out), true), func(listener string, why guard.Reason) string {
		if listener == "web" && why == guard.ShedSourceConns {
			return "256"
		}
		return ""
	})
	r.Tell(engine.Event{Reason: guard.ShedSourceConns, Source: netip.MustParseAddr("::ffff:192.0.2.7"), Listener: "web", Loop: 1, Count: 4711, Dropped: 640})
	r.Tell(engine.Event{Reason: guard.SlowConnBytes, Listener: "sock", Count: 1})
	r.Tell(engine.Event{Reason: guard.ShedPanic, Detail: "boom", Stack: []byte("a\n\tb")})
	r.Tell(engine.Event{Reason: guard.ShedMalformed, Detail: "bad-host"})
	r.Close(time.Minute)

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []map[string]any{
		{"level": "warn", "event": "shed", "reason": "source-conns", "severity": "suspect", "source": "192.0.2.7", "listener": "web", "loop": 1.0, "count": 4711.0, "limit": "source-conns", "threshold": "256", "dropped": 640.0},
		{"level": "info", "event": "slowed", "reason": "conn-bytes", "severity": "normal", "source": "unix", "listener": "sock"},
		{"level": "error", "event": "panic", "reason": "panic", "detail": "boom", "stack": "a\n  b"},
		{"level": "warn", "event": "shed", "reason": "malformed", "severity": "hostile", "detail": "bad-host"},
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i := range want {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		for k, v := range want[i] {
			if got[k] != v {
				t.Errorf("line %d: %s is %v, want %v", i, k, got[k], v)
			}
		}
	}
}

func TestEveryReasonIsAnEvent(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	r := NewRecorder(zap.New(core), nil)
	for why := guard.OK + 1; int(why) < guard.Reasons; why++ {
		r.Tell(engine.Event{Reason: why})
	}
	r.Close(time.Minute)
	if got := logs.Len(); got != guard.Reasons-1 {
		t.Errorf("%d lines for %d reasons", got, guard.Reasons-1)
	}
	for _, e := range logs.All() {
		if (e.Level == zap.ErrorLevel) != (e.ContextMap()["reason"] == "panic") {
			t.Errorf("%v at %v: errors are our own", e.ContextMap()["reason"], e.Level)
		}
	}
}

// blocked is a log that takes nothing until it is let go.
type blocked struct {
	mu   sync.Mutex
	gate chan struct{}
	out  bytes.Buffer
}

func (b *blocked) Write(p []byte) (int, error) {
	<-b.gate
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *blocked) Sync() error { return nil }

func (b *blocked) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

func TestABlockedLogStopsNobody(t *testing.T) {
	w := &blocked{gate: make(chan struct{})}
	sink := NewSink(Writer(w), nil)
	log := console(sink, false)
	r := NewRecorder(log, nil)
	const told = 5000
	begin := time.Now()
	for range told {
		r.Tell(engine.Event{Reason: guard.ShedSourceConns})
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("%d events took %v while the log was blocked", told, took)
	}
	for range 2 * sinkLines { // the process's own lines
		log.Info("busy")
	}
	if !r.Close(time.Minute) {
		t.Fatal("the recorder waits for the log")
	}
	if sink.Close(10 * time.Millisecond) {
		t.Fatal("the log cannot have been written")
	}
	close(w.gate)
	if !sink.Close(time.Minute) {
		t.Fatal("the log is free and not written")
	}
	text := w.text()
	if sink.Dropped() == 0 || !strings.Contains(text, "log lines dropped") {
		t.Errorf("%d lines dropped, and not told", sink.Dropped())
	}
	written := uint64(strings.Count(text, `"event": "shed"`) + strings.Count(text, "busy") + strings.Count(text, Lost))
	if got, all := written+r.Dropped()+sink.Dropped(), uint64(told+2*sinkLines); got < all || got > all+told {
		t.Errorf("%d of %d: %d written, %d and %d dropped", got, all, written, r.Dropped(), sink.Dropped())
	}
}

func TestAFullRecorderCountsAndTells(t *testing.T) {
	w := &blocked{gate: make(chan struct{})}
	r := NewRecorder(console(w, false), nil) // no sink between: the recorder itself is blocked
	for range queueLen + 100 {
		r.Tell(engine.Event{Reason: guard.ShedSourceConns})
	}
	if got := r.Dropped(); got < 99 || got > 100 {
		t.Errorf("%d dropped, want 99 or 100", got)
	}
	if r.Close(10 * time.Millisecond) {
		t.Error("closed while the log is blocked")
	}
	close(w.gate)
	if !r.Close(time.Minute) || !strings.Contains(w.text(), `"event": "events_lost"`) {
		t.Error("lost events are not told")
	}
	sum := 0
	for line := range strings.Lines(w.text()) {
		switch _, n, found := strings.Cut(line, `"dropped": `); {
		case strings.Contains(line, Lost):
		case found:
			n, _, _ = strings.Cut(n, "}")
			d, _ := strconv.Atoi(strings.TrimSpace(n))
			sum += d
		default:
			sum++
		}
	}
	if sum != queueLen+100 {
		t.Errorf("the lines add up to %d of %d:\n%.500s", sum, queueLen+100, w.text())
	}
}

func TestSinkKeepsOrderAndCopies(t *testing.T) {
	var out bytes.Buffer
	s := NewSink(Writer(&out), nil)
	line := []byte("1\n")
	_, _ = s.Write(line)
	line[0] = '2'
	_, _ = s.Write(line)
	if !s.Close(time.Minute) || out.String() != "1\n2\n" || s.Dropped() != 0 {
		t.Errorf("%q, %d dropped", out.String(), s.Dropped())
	}
	_, _ = s.Write(line) // must not panic
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, wireError{"disk full"} }

func TestSinkCountsWhatCannotBeWritten(t *testing.T) {
	s := NewSink(Writer(failing{}), nil)
	_, _ = s.Write([]byte("x\n"))
	if !s.Close(time.Minute) || s.Dropped() != 1 {
		t.Errorf("%d dropped", s.Dropped())
	}
}

func TestWatcherAlarmsOnceAMinute(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	snap := engine.Snapshot{Loops: make([]engine.LoopSnapshot, 2), AcceptErrors: map[string]uint64{}}
	var evictions uint64
	used := 10
	w := &Watcher{log: zap.New(core), next: map[string]time.Time{}, src: Sources{
		Snapshot: func() engine.Snapshot { return snap }, Evictions: func() uint64 { return evictions },
		Descriptors: func(int64) (int, int) { return used, 100 },
	}}
	now := time.Unix(0, 0)
	alarms := func() string {
		now = now.Add(time.Second)
		w.look(now)
		var names []string
		for _, e := range logs.TakeAll() {
			names = append(names, e.ContextMap()["event"].(string))
		}
		return strings.Join(names, " ")
	}
	expect := func(want, why string) {
		t.Helper()
		if got := alarms(); got != want {
			t.Errorf("got %q, want %q: %s", got, want, why)
		}
	}
	expect("", "all is quiet")
	evictions = 5
	expect(AlarmEvictions, "evictions rise")
	evictions = 9
	expect("", "and are not told again at once")
	used = 90
	expect("", "90 % is not above 90 %")
	used = 91
	expect(AlarmDescriptors, "91 % is")
	snap.Loops[1].MaxLag = 101 * time.Millisecond
	expect(AlarmLag, "a loop is late")
	snap.Loops[1].MaxLag, used = 0, 10
	snap.Panics, snap.AcceptErrors["EMFILE"] = 1, 3
	expect(AlarmPanics+" "+AlarmAccept, "handlers failed, and accepts")
	now = now.Add(time.Minute)
	expect(AlarmEvictions, "what came meanwhile is told after a minute")
	now = now.Add(time.Minute)
	expect("", "what does not rise is not told again")
}

func TestWatcherLooksOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		w := Watch(zap.NewNop(), Sources{
			Snapshot: func() engine.Snapshot { looks++; return engine.Snapshot{} }, Evictions: func() uint64 { return 0 },
			Descriptors: func(int64) (int, int) { return 0, 0 },
		})
		time.Sleep(10*time.Second + time.Millisecond)
		w.Close()
		w.Close()
		if looks != 10 {
			t.Errorf("%d looks in 10 s", looks)
		}
	})
}

// TestNamesAreClosed: each constant is described, once, and all that is logged anywhere is one of them.
func TestNamesAreClosed(t *testing.T) {
	known := map[string]bool{}
	for _, n := range Names {
		if known[n.Name] || n.Text == "" || strings.Trim(n.Name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("%+v", n)
		}
		known[n.Name] = true
	}
	for r := range guard.Reason(guard.Reasons) {
		if n := nameOf(r); !known[n] {
			t.Errorf("%s is told as %s", r.Label(), n)
		}
	}
	fset := token.NewFileSet()
	consts, logged := 0, 0
	for _, dir := range []string{".", "../admin", "../acme", "../alerts", "../metrics", "../../cmd/server"} {
		names, _ := filepath.Glob(dir + "/*.go")
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					if lit, ok := first(n.Values).(*ast.BasicLit); ok && dir == "." && strings.HasSuffix(name, "names.go") && lit.Kind == token.STRING {
						consts++
						if v, _ := strconv.Unquote(lit.Value); !known[v] {
							t.Errorf("%s is not described", v)
						}
					}
				case *ast.CallExpr:
					if len(n.Args) != 2 {
						break
					}
					if key, ok := n.Args[0].(*ast.BasicLit); ok && key.Value == `"event"` {
						logged++
						if lit, ok := n.Args[1].(*ast.BasicLit); ok {
							t.Errorf("%s: %s is not one of the constants", fset.Position(n.Pos()), lit.Value)
						}
					}
				}
				return true
			})
		}
	}
	if consts != len(Names) || logged < 20 {
		t.Errorf("%d constants, %d names; %d places that log", consts, len(Names), logged)
	}
}

func first(list []ast.Expr) ast.Expr {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}
