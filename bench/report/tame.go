package report

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/printable"
	"weir/bench/watch"
)

// The bounds of what is shown, in bytes as HTML writes them. A server under attack and a record made by a stranger say what
// they like: a name of 20 kB that stands in each of 5,000 samples made a page of 101 MB.
const (
	maxNameBytes    = 80  // of phases, attacks and reasons: twice that of a phase which a siege takes
	maxTextBytes    = 400 // of all else that is one line
	maxCommandBytes = 16 << 10
	maxReasons      = 64 // of all phases together, as a siege tells apart in one; the rest is "(other)"
	maxLines        = 100
	maxAmount       = 1e15 // of numbers with a fraction
	other           = "(other)"
)

// siegeTamed and the others return a copy in which all text is fit for a terminal and short. All that is shown has gone
// through one of them, so that nothing else in this package has to think of it.
func siegeTamed(o bench.Outcome) bench.Outcome {
	o = tamed(o)
	o.Good = named(o.Good)
	if o.Newcomers != nil {
		n := named(*o.Newcomers)
		o.Newcomers = &n
	}
	for i := range o.Attacks {
		o.Attacks[i].Phase, o.Attacks[i].Name = short(o.Attacks[i].Phase, maxNameBytes), short(o.Attacks[i].Name, maxNameBytes)
	}
	for i := range o.Costs {
		o.Costs[i].Phase = short(o.Costs[i].Phase, maxNameBytes)
	}
	all := map[string]int64{}
	for i := range o.Server {
		o.Server[i].Name = short(o.Server[i].Name, maxNameBytes)
		for k, n := range o.Server[i].Sheds {
			all[k] = watch.Sum(all[k], n)
		}
	}
	keep := frequent(all, maxReasons)
	for i := range o.Server {
		o.Server[i].Sheds = only(o.Server[i].Sheds, keep)
	}
	return o
}

func loadTamed(r load.Result) load.Result { return named(tamed(r)) }

func attackTamed(a attack.Result) attack.Result {
	a = tamed(a)
	a.Name = short(a.Name, maxNameBytes)
	return a
}

// named shortens the names of a client's phases.
func named(r load.Result) load.Result {
	for _, all := range [][]latency.Summary{r.Phases, r.Timeline} {
		for i := range all {
			all[i].Name, all[i].Failed = short(all[i].Name, maxNameBytes), only(all[i].Failed, failureWords)
		}
	}
	if r.TLS != nil {
		for i := range r.TLS.Phases {
			s := &r.TLS.Phases[i]
			s.Name, s.Failed = short(s.Name, maxNameBytes), only(s.Failed, failureWords)
		}
	}
	return r
}

// failureWords are those of a closed list; a record that has others is not of this bench.
var failureWords = func() (out []string) {
	for f := latency.Timeout; f <= latency.Handshake; f++ {
		out = append(out, f.String())
	}
	return out
}()

// frequent returns the keys of the most highest counts, highest first.
func frequent(counts map[string]int64, most int) []string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return keys[:min(len(keys), most)]
}

// only returns counts with all keys but those to keep as one, "(other)".
func only(counts map[string]int64, keep []string) map[string]int64 {
	if counts == nil {
		return nil
	}
	out := make(map[string]int64)
	for k, n := range counts {
		if !slices.Contains(keep, k) {
			k = other
		}
		out[k] = watch.Sum(out[k], n)
	}
	return out
}

// short returns at most so many bytes of text, counted as HTML writes them, with "..." behind when that is not all.
func short(text string, most int) string {
	n := 0
	for i, r := range text {
		if n += len(string(r)); strings.ContainsRune(`<>&'"+`, r) {
			n += len("&#34;") - 1
		}
		if n > most {
			return text[:i] + "..."
		}
	}
	return text
}

// line returns text of elsewhere as one short line.
func line(text string) string {
	return short(printable.Text(printable.Cut(text, maxCommandBytes)), maxTextBytes)
}

// tamed returns a deep copy of v, a struct of exported fields, with each text in it as a line, counts not below 0 and
// amounts not above [maxAmount].
func tamed[T any](v T) T {
	tame(reflect.ValueOf(&v).Elem())
	return v
}

func tame(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(line(v.String()))
	case reflect.Float64:
		v.SetFloat(min(max(v.Float(), -maxAmount), maxAmount))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				tame(f)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			to := reflect.New(v.Type().Elem())
			to.Elem().Set(v.Elem())
			tame(to.Elem())
			v.Set(to)
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		length := v.Len()
		if v.Type().Elem().Kind() == reflect.String {
			length = min(length, maxLines)
		}
		to := reflect.MakeSlice(v.Type(), length, length)
		reflect.Copy(to, v)
		for i := range length {
			tame(to.Index(i))
		}
		if more := v.Len() - length; more > 0 {
			to.Index(length - 1).SetString("and " + strconv.Itoa(more+1) + " more")
		}
		v.Set(to)
	case reflect.Map:
		switch m := v.Interface().(type) {
		case map[string]int64:
			v.Set(reflect.ValueOf(counts(m)))
		case map[string]string:
			to := map[string]string{}
			for i, k := range slices.Sorted(maps.Keys(m)) {
				if i == maxLines {
					break
				}
				to[line(k)] = line(m[k])
			}
			v.Set(reflect.ValueOf(to))
		}
	}
}

// counts returns m with short names and no negative counts, nil of nil.
func counts(m map[string]int64) map[string]int64 {
	if m == nil {
		return nil
	}
	out := make(map[string]int64, len(m))
	for k, n := range m {
		k = short(line(k), maxNameBytes)
		out[k] = watch.Sum(out[k], max(n, 0))
	}
	return out
}
