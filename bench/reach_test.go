package bench

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"weir/bench/load"
	"weir/bench/target"
	"weir/bench/victim"
	"weir/bench/watch"
)

func TestReachTellsWhatIsNotThere(t *testing.T) {
	there := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "")
	}))
	gone, err := target.Resolve(t.Context(), "http://"+victim.Nobody(t).String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	none := there
	none.Path = "/none"
	for _, c := range []struct {
		s    Siege
		want string // "" for nothing wrong
	}{
		{Siege{Good: load.Config{Target: there}, PIDs: []int{os.Getpid()}, Sheds: watch.NewCounter(there, "a", "b")}, ""},
		{Siege{Good: load.Config{Target: there}, PIDs: []int{os.Getpid(), 1 << 30}}, "siege: -pid 1073741824: there is no such process; name the server's"},
		{Siege{Good: load.Config{Target: gone}}, "siege: " + gone.String() + ": nobody listens there; start the server first"},
		{Siege{Good: load.Config{Target: there}, Phases: []Phase{{Strikes: []Strike{{Target: gone}}}}}, "nobody listens there"},
		{Siege{Good: load.Config{Target: there}, Sheds: watch.NewCounter(gone, "a", "b")}, "siege: -metrics: read metrics: "},
		{Siege{Good: load.Config{Target: there}, Sheds: watch.NewCounter(none, "a", "b")}, "status 404 Not Found; name the server's metrics page"},
	} {
		if err := c.s.Reach(t.Context()); (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
