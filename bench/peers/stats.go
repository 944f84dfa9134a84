package main

import "slices"

// spread is what several rounds came to.
type spread struct {
	Median, Least, Most float64
	N                   int
}

// spreadOf sorts values. Of an even number the median is the mean of the middle two; of none all is 0.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	n := len(values)
	return spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Least: values[0], Most: values[n-1], N: n}
}

// rotated returns the order of a round: each begins with the next one, so that being first falls on all in turn.
func rotated[T any](all []T, round int) []T {
	if len(all) == 0 {
		return nil
	}
	k := round % len(all)
	return append(slices.Clone(all[k:]), all[:k]...)
}
