package events

import "go.uber.org/zap/zapcore"

// The stable names of what is logged: the field "event". The list is closed: Names has them all, and
// nothing else logs one of its own.
const (
	// Of the peers of listeners.
	Shed         = "shed"
	Slowed       = "slowed"
	Panic        = "panic"
	AuthSuccess  = "auth_success"
	AuthFailure  = "auth_failure"
	AuthLimited  = "auth_limited"
	AuthTimeout  = "auth_timeout"
	AccessDenied = "access_denied"
	Traversal    = "path_traversal"
	Replay       = "replay"
	ProxySpoof   = "proxy_spoof"

	// Of the log itself.
	Lost      = "events_lost"
	LinesLost = "log_lines_dropped"

	// Of the process.
	Start           = "start"
	Listening       = "listening"
	Limits          = "limits"
	Memory          = "memory"
	Signal          = "signal"
	Stopping        = "stopping"
	Stopped         = "stopped"
	AdminExposed    = "admin_exposed"
	ProxyExposed    = "proxy_exposed"
	UnknownVariable = "unknown_variable"

	// Of servers that are relayed to.
	UpstreamUp       = "upstream_up"
	UpstreamDown     = "upstream_down"
	UpstreamInsecure = "upstream_insecure"

	// Of accounts.
	AccountsReloaded     = "accounts_reloaded"
	AccountsReloadFailed = "accounts_reload_failed"

	// Of certificates.
	CertificateReloaded     = "certificate_reloaded"
	CertificateReloadFailed = "certificate_reload_failed"
	ClientCAReloaded        = "client_ca_reloaded"
	ClientCAReloadFailed    = "client_ca_reload_failed"
	CertificateAwaited      = "certificate_awaited"
	CertificateObtained     = "certificate_obtained"
	CertificateNotObtained  = "certificate_not_obtained"
	CertificateDamaged      = "certificate_damaged"
	CertificateNameless     = "certificate_nameless"
	KeyReadable             = "key_readable"
	CertificateExpires      = "certificate_expires"
	ACMEAccount             = "acme_account"
	ACMEPort                = "acme_port"
	ACMEStep                = "acme_step"
	ACMEClientAuth          = "acme_client_auth"

	// Alarms.
	AlarmEvictions   = "source_table_evictions"
	AlarmDescriptors = "descriptors_low"
	AlarmLag         = "loop_lag"
	AlarmPanics      = "panics"
	AlarmAccept      = "accept_errors"
	Alert            = "alert"
	AlertFailed      = "alert_failed"
)

// Name describes an event.
type Name struct {
	Name  string
	Level zapcore.Level // at which it is logged; shed is on info or warn, see guard.Level
	Text  string        // when it is logged, for the operator
}

// Names are all events, in the order of their description.
var Names = []Name{
	{Shed, zapcore.WarnLevel, "a connection, a request or a frame was refused, or a connection ended, for the reason in `reason`"},
	{Slowed, zapcore.InfoLevel, "reading from a connection pauses until its debt of bytes is paid"},
	{Panic, zapcore.ErrorLevel, "a handler failed; the connection was ended"},
	{AuthSuccess, zapcore.InfoLevel, "a peer has proved who it is; `account`"},
	{AuthFailure, zapcore.WarnLevel, "it could not; `account` is the name it gave"},
	{AuthLimited, zapcore.WarnLevel, "it was not asked again: too many attempts from its source, or at the account"},
	{AuthTimeout, zapcore.WarnLevel, "it was not done with it in time"},
	{AccessDenied, zapcore.WarnLevel, "it is known, and may not do what it asked for"},
	{Traversal, zapcore.WarnLevel, "a path that leads out of a root, or that no file can have, was asked for"},
	{Replay, zapcore.WarnLevel, "a signed frame was replayed, reordered or altered"},
	{ProxySpoof, zapcore.WarnLevel, "a PROXY header came from a peer that may not send one"},
	{Lost, zapcore.WarnLevel, "security events found the queue full: the log is slow"},
	{LinesLost, zapcore.WarnLevel, "log lines found the queue full"},
	{Start, zapcore.InfoLevel, "the server starts; its version"},
	{Listening, zapcore.InfoLevel, "a listener is bound"},
	{Limits, zapcore.InfoLevel, "the limits in force"},
	{Memory, zapcore.InfoLevel, "what they can cost"},
	{Signal, zapcore.InfoLevel, "SIGHUP: what was read again"},
	{Stopping, zapcore.InfoLevel, "a signal to stop"},
	{Stopped, zapcore.InfoLevel, "the end, with what was accepted and refused"},
	{AdminExposed, zapcore.WarnLevel, "the admin address is not on loopback"},
	{ProxyExposed, zapcore.WarnLevel, "whoever connects may claim any address"},
	{UnknownVariable, zapcore.WarnLevel, "a WEIR_ variable that is no flag's"},
	{UpstreamUp, zapcore.InfoLevel, "a server behind is up again"},
	{UpstreamDown, zapcore.WarnLevel, "a server behind is down; `why`"},
	{UpstreamInsecure, zapcore.WarnLevel, "certificates of servers behind are not checked"},
	{AccountsReloaded, zapcore.InfoLevel, "the accounts were replaced while running"},
	{AccountsReloadFailed, zapcore.ErrorLevel, "they could not be; the old ones stay"},
	{CertificateReloaded, zapcore.InfoLevel, "a certificate was replaced while running"},
	{CertificateReloadFailed, zapcore.ErrorLevel, "it could not be; the old one stays"},
	{ClientCAReloaded, zapcore.InfoLevel, "the client CA was replaced"},
	{ClientCAReloadFailed, zapcore.ErrorLevel, "it could not be; the old one stays"},
	{CertificateAwaited, zapcore.InfoLevel, "a certificate is being obtained by ACME"},
	{CertificateObtained, zapcore.InfoLevel, "it was"},
	{CertificateNotObtained, zapcore.ErrorLevel, "it was not; it is tried again"},
	{CertificateDamaged, zapcore.WarnLevel, "one in -acme-cache cannot be used"},
	{CertificateNameless, zapcore.WarnLevel, "one has no name that clients would accept"},
	{KeyReadable, zapcore.WarnLevel, "others on this machine may read a private key"},
	{CertificateExpires, zapcore.WarnLevel, "one is close to its end; as an error once it has expired"},
	{ACMEAccount, zapcore.InfoLevel, "an account with the CA was made"},
	{ACMEPort, zapcore.WarnLevel, "no listener is where the CA would look"},
	{ACMEStep, zapcore.DebugLevel, "a step with the CA"},
	{ACMEClientAuth, zapcore.WarnLevel, "the CA would need a client certificate"},
	{AlarmEvictions, zapcore.WarnLevel, "sources lose their places in a table"},
	{AlarmDescriptors, zapcore.WarnLevel, "over 90 % of the open files are in use"},
	{AlarmLag, zapcore.WarnLevel, "a loop ran more than 100 ms late"},
	{AlarmPanics, zapcore.ErrorLevel, "handlers failed"},
	{AlarmAccept, zapcore.WarnLevel, "accepts failed"},
	{Alert, zapcore.WarnLevel, "a rule of -alert-rule was met, and -alert-url is told; `rule`, `key`, `value`, `threshold`, `id`"},
	{AlertFailed, zapcore.WarnLevel, "an alert could not be delivered; `receiver`, `rule`, `id`, `why`"},
}
