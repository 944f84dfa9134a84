// Package web is what the services that speak HTTP say in the same words: refusals and faults.
// It is for the services, on the loop's goroutine only. What is appended here counts as answered, and is to be written at
// once.
package web

import (
	"weir/codec"
	"weir/codec/http1"
	"weir/engine/service"
)

// AppendRefusal appends the response that tells of a guard's refusal; the connection ends with it. head
// says whether the request that is refused was HEAD.
func AppendRefusal(dst []byte, c service.Conn, why service.Refusal, head bool) []byte {
	e := http1.ErrorReply{Date: c.Date(), Detail: why.String()}
	switch why {
	case service.TooMany:
		e.Status, e.RetryAfter, e.Head = 429, 1, head
	case service.TooSlow:
		e.Status = 408
	default:
		e.Status = 500
	}
	c.Answered(e.Status)
	return http1.AppendError(dst, e)
}

// Decline answers a request whose rate is spent, and reports that it has: the connection goes on. It does not
// where there is more than the request's head, or its client expects the end (see service.Decliner). buf is
// scratch space.
func Decline(c service.Conn, r *http1.Request, buf *[]byte) bool {
	if !r.KeepAlive || r.Minor != 1 || r.Chunked || r.ContentLength > 0 {
		return false
	}
	*buf = http1.AppendError((*buf)[:0], http1.ErrorReply{
		Status: 429, Date: c.Date(), Detail: service.TooMany.String(), RetryAfter: 1, Head: r.Head, GoesOn: true,
	})
	c.Answered(429)
	c.Write(*buf)
	return true
}

// AppendFault appends the response to wrong bytes; the connection ends with it.
func AppendFault(dst []byte, c service.Conn, f codec.Fault) []byte {
	status := http1.Status(f)
	c.Answered(status)
	return http1.AppendError(dst, http1.ErrorReply{Status: status, Date: c.Date(), Detail: f.Error()})
}
