package main

import (
	"fmt"

	"weir/codec/http1"
	"weir/codec/length"
	"weir/codec/mqtt"
	"weir/codec/resp"
	"weir/engine"
	"weir/engine/auth/sasl"
	"weir/engine/certs"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/hello"
	"weir/engine/service/relay"
	"weir/guard"
	"weir/internal/scheme"
)

// httpFloor is what an HTTP connection may hold when -max-header is smaller: a chunk's extensions and
// the trailers have limits of their own.
var httpFloor = int64(http1.Default().MaxTrailers + http1.Default().MaxExtensions)

// relayIn is what a connection whose bytes are relayed may hold of what has come before its server is
// there: one read.
const relayIn = 64 << 10

// wire makes the engine's configuration of s, which resolve has checked, with the certificates of id, the
// directories of at, the servers in behind, and in to let in who has proved who it is.
// This is the only place that says which service answers at which protocol; what each can do is package scheme's.
func wire(s *settings, id *identity, at sites, behind pools, in *doors, tell func(engine.Event)) engine.Config {
	cfg := s.engine
	cfg.Events = tell
	cfg.Listeners = nil
	for i := range s.listeners {
		l := &s.listeners[i]
		var answers service.Service
		var maxIn int64
		switch l.scheme.Protocol {
		case "http":
			switch site := at[l.name]; {
			case l.relays():
				answers = relay.HTTP(behind.at(i), l.http())
			case site != nil:
				answers = site
			default:
				answers = hello.New(hello.Config{MaxHeader: int(l.limits.maxHeader), MaxBody: l.limits.maxBody})
			}
			maxIn = max(l.limits.maxHeader, httpFloor)
		case "tcp":
			answers = relay.Bytes(behind.at(i))
			maxIn = relayIn
		case scheme.Passthrough:
			answers = relay.Passthrough(behind.routesAt(i))
			maxIn = relayIn // a hello has 36 KiB at most, its records' headers included
		case "resp":
			answers = relay.Commands(behind.at(i), int(l.limits.maxFrame))
			maxIn = max(resp.MaxHead, relayIn)
		case "mqtt":
			answers = relay.Packets(behind.at(i), int(min(l.limits.maxFrame, mqtt.MaxMax)))
			maxIn = relayIn
		case "frames":
			answers = echo.Frames(int(l.limits.maxFrame))
			switch site := at[l.name]; {
			case site != nil:
				answers = site
			case l.relays():
				answers = relay.Frames(behind.at(i), int(l.limits.maxFrame))
			}
			maxIn = l.limits.maxFrame + length.HeaderBytes
		case "line":
			answers = echo.Lines(int(l.limits.maxLine))
			if l.relays() {
				answers = relay.Lines(behind.at(i), int(l.limits.maxLine))
			}
			maxIn = l.limits.maxLine + int64(len("\r\n"))
		}
		if l.asks() {
			answers = in.guard(l, answers)
			maxIn = max(maxIn, sasl.MaxMessage+length.HeaderBytes)
		}
		limits := l.limits.Limits
		if !l.isTLS() {
			limits.SourceHandshakeRate, limits.SourceHandshakeBurst = 0, 0 // no table of sources for what does not happen
		}
		cfg.Listeners = append(cfg.Listeners, engine.Listener{
			Name: l.name, Network: l.network, Address: l.address,
			Service: answers, MaxIn: int(maxIn), Limits: limits, DeferAccept: l.limits.deferAccept,
			TLS: id.config(l.name), VerifiedClient: certs.VerifiedClient, ProxyFrom: l.proxies(),
		})
	}
	return cfg
}

// threshold tells the value of the limit behind a reason at a listener, as one would type it.
func (s *settings) threshold(name string, why guard.Reason) string {
	if why == guard.ShedListenerConns {
		for i := range s.listeners {
			if l := &s.listeners[i]; l.name == name {
				return fmt.Sprint(l.limits.MaxConns)
			}
		}
	}
	r := rowNamed(why.Flag())
	if r == nil {
		return ""
	}
	if r.setting != nil {
		return r.inWords(r.setting(s))
	}
	for i := range s.listeners {
		if l := &s.listeners[i]; l.name == name {
			return r.inWords(r.limit(&l.limits))
		}
	}
	return r.inWords(r.limit(&s.limits))
}
