// Package web is what the services that speak HTTP say in the same words: refusals and faults.
// It is for the services, on the loop's goroutine only.
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
	return http1.AppendError(dst, e)
}

// MayDecline reports that a request can be refused and the connection go on: there is nothing behind its
// head, and its client expects no end.
func MayDecline(r *http1.Request) bool {
	return r.KeepAlive && r.Minor == 1 && !r.Chunked && r.ContentLength <= 0
}

// AppendDeclined appends the response that tells of a rate that is spent; the connection goes on. head
// is as in AppendRefusal.
func AppendDeclined(dst []byte, c service.Conn, head bool) []byte {
	return http1.AppendError(dst, http1.ErrorReply{
		Status: 429, Date: c.Date(), Detail: service.TooMany.String(), RetryAfter: 1, Head: head, GoesOn: true,
	})
}

// AppendFault appends the response to wrong bytes; the connection ends with it.
func AppendFault(dst []byte, c service.Conn, f codec.Fault) []byte {
	return http1.AppendError(dst, http1.ErrorReply{Status: http1.Status(f), Date: c.Date(), Detail: f.Error()})
}
