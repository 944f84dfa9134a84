package http1

import "weir/codec"

// Status returns the status code that answers a fault, 400 to 599, or 200 for codec.OK. Every one of
// them is followed by closing the connection: where the next request begins is not known any more.
// Any goroutine.
func Status(f codec.Fault) int {
	switch f {
	case codec.OK:
		return 200
	case codec.BodyTooLarge, codec.FrameTooLarge:
		return 413 // 9110 15.5.14
	case codec.TargetTooLong:
		return 414 // 9110 15.5.15
	case codec.BadExpect:
		return 417 // 9110 15.5.18
	case codec.HeadTooLarge, codec.TooManyFields:
		return 431 // 6585 5
	case codec.BadCoding:
		return 501 // 9112 6.1
	case codec.BadVersion:
		return 505 // 9110 15.6.6
	}
	return 400
}

// StatusText returns the reason phrase of a status code, or "Unknown" for one that is not in the
// registry's common part. Nobody may depend on it (9112 4). Any goroutine.
func StatusText(code int) string {
	switch code {
	case 100:
		return "Continue"
	case 101:
		return "Switching Protocols"
	case 200:
		return "OK"
	case 201:
		return "Created"
	case 202:
		return "Accepted"
	case 204:
		return "No Content"
	case 206:
		return "Partial Content"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 304:
		return "Not Modified"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 406:
		return "Not Acceptable"
	case 408:
		return "Request Timeout"
	case 409:
		return "Conflict"
	case 410:
		return "Gone"
	case 411:
		return "Length Required"
	case 412:
		return "Precondition Failed"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 415:
		return "Unsupported Media Type"
	case 416:
		return "Range Not Satisfiable"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 422:
		return "Unprocessable Content"
	case 426:
		return "Upgrade Required"
	case 428:
		return "Precondition Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	case 507:
		return "Insufficient Storage"
	}
	return "Unknown"
}
