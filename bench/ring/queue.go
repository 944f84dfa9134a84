package ring

// Queue is a queue of T. The zero value is empty and ready. Push is O(1) amortised, all else O(1); the memory is
// that of the longest it ever was. Not for concurrent use.
type Queue[T any] struct {
	ring  []T
	head  int // 0 ≤ head < len(ring)
	count int
}

// Len returns how many wait.
func (q *Queue[T]) Len() int { return q.count }

// Push puts v behind all others.
func (q *Queue[T]) Push(v T) {
	if q.count == len(q.ring) {
		bigger := make([]T, max(16, 2*len(q.ring)))
		n := copy(bigger, q.ring[q.head:])
		copy(bigger[n:], q.ring[:q.head])
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.count)%len(q.ring)] = v
	q.count++
}

// Unpop puts v in front of all others, as if it had not been taken out.
func (q *Queue[T]) Unpop(v T) {
	q.Push(v) // for the room
	q.head = (q.head + len(q.ring) - 1) % len(q.ring)
	q.ring[q.head] = v
}

// First returns what [Queue.Pop] would, and leaves it there. The queue must not be empty.
func (q *Queue[T]) First() T { return q.ring[q.head] }

// Pop takes out what waited longest. The queue must not be empty.
func (q *Queue[T]) Pop() T {
	v := q.ring[q.head]
	q.head = (q.head + 1) % len(q.ring)
	q.count--
	return v
}
