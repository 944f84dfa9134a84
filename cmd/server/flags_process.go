package main

import (
	"weir/internal/alerts"
	"weir/internal/posture"
)

var alertFlags = group{"Alerts", []row{
	{name: "alert-url", kind: names, unit: "URL", check: alerts.CheckURL, secret: true,
		setting: func(s *settings) any { return &s.alerts.urls },
		help:    "Whom to tell, by an HTTP POST of JSON, of what should be known at once: https://HOST/..., or slack+https://HOST/... for the form of Slack and Mattermost. It may hold credentials: only its host is ever logged or printed. May be given several times; a comma in it is written %2C"},
	{name: "alert-rule", kind: names, unit: "RULE", check: alerts.CheckRule,
		setting: func(s *settings) any { return &s.alerts.rules },
		help:    "When to tell them: NAME=SUBJECT:NUMBER/WINDOW/COOLDOWN, such as sheds=shed:1000/10s/5m. Added to the rules that there are, or instead of the one with the same name; NAME=off takes one out. May be given several times; docs/operations.md has the subjects and the rules that there are"},
	{name: "alert-secret-file", kind: text, unit: "FILE", check: checkPath,
		setting: func(s *settings) any { return &s.alerts.secretFile },
		help:    "A file with the secret, of 16 bytes at least, that alerts are signed with by HMAC-SHA-256; one that all users of the machine may read is refused. Without it they are not signed"},
}}

var processFlags = group{"Process", []row{
	{name: "loops", kind: count, value: "0", auto: "one per CPU that the process may use", min: 1, max: 256, zero: "automatic",
		setting: func(s *settings) any { return &s.engine.Loops },
		help:    "Event loops"},
	{name: "workers", kind: count, value: "0", auto: "two per CPU", min: 1, max: 4096, zero: "automatic",
		setting: func(s *settings) any { return &s.engine.Workers },
		help:    "Goroutines for work that may block"},
	{name: "profile", kind: word, value: "default", words: []string{"default", "bench"},
		setting: func(s *settings) any { return &s.profile },
		help:    "bench lifts the per-source limits, those on a connection's bytes and max-unproven so far that one address can load-test the server, with every check still running. Flags that are given win over it"},
	{name: "log-level", kind: word, value: "info", words: []string{"debug", "info", "warn", "error"},
		setting: func(s *settings) any { return &s.logLevel },
		help:    "Least level that is logged"},
	{name: "log-format", kind: word, value: "console", words: []string{"console", "json"},
		setting: func(s *settings) any { return &s.logFormat },
		help:    "How log lines look"},
	{name: "log-to", kind: text, value: "stderr", unit: "OUTPUT", check: checkLogTo,
		setting: func(s *settings) any { return &s.logTo },
		help:    "Where log lines go: stderr, file:PATH, syslog, or journal, which is systemd's. Of a file, SIGHUP has another one begun if it was renamed"},
	{name: "log-max-size", kind: size, value: "100MiB", min: 1 << 20, max: 1 << 40, zero: "it is not rotated", when: (*settings).logsToFile,
		setting: func(s *settings) any { return &s.logMaxSize },
		help:    "How large a log file grows, in whole MiB, before it is renamed, with the time in its name, and another one begun"},
	{name: "log-keep", kind: count, value: "10", max: 100000, zero: "all", when: (*settings).logsToFile,
		setting: func(s *settings) any { return &s.logKeep },
		help:    "How many log files that were renamed stay"},
	{name: "config", kind: text, unit: "FILE",
		setting: func(s *settings) any { return &s.config }, action: true,
		help: "A file with one flag a line: its name without the dash, a space, its value. Lines that begin with # are comments. The command line wins over the environment, the environment over the file"},
	{name: "check", kind: toggle, value: "false", setting: func(s *settings) any { return &s.check }, action: true,
		help: "Check the configuration, say in one line what came of it, then for each practice whether it is on, weak or off and what changes that, and exit: with 1 when something is weak that others than this machine can reach"},
	{name: "check-format", kind: word, value: "text", words: []string{"text", "json"}, setting: func(s *settings) any { return &s.checkFormat }, action: true,
		help: "How -check says it"},
	{name: "check-accept", kind: names, unit: "ROW", check: posture.CheckRow, setting: func(s *settings) any { return &s.checkAccept }, action: true,
		help: "A row of -check, such as R10, or R10@NAME for one listener, that may be weak or off: it is told and does not make the exit status 1. May be given several times"},
	{name: "print-config", kind: toggle, value: "false", setting: func(s *settings) any { return &s.printConfig }, action: true,
		help: "Print every value in force, in the form that -config reads, and exit"},
	{name: "version", kind: toggle, value: "false", setting: func(s *settings) any { return &s.version }, action: true,
		help: "Print the version and exit"},
}}
