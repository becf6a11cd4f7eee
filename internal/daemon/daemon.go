// Package daemon is the list of parts of a running bridge, in the order in
// which they are built. Read it to learn what runs.
package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/adminapi"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/edge/ldapback"
	"bridge.example/internal/edge/ldapfront"
	"bridge.example/internal/edge/repository"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
	"bridge.example/internal/outbound"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/ldap"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/membership"
	"bridge.example/signedlist"
	"bridge.example/vdir"
	"bridge.example/vocsp"
)

// Addrs are where the daemon listens, as host:port.
type Addrs struct {
	Admin, Directory, Responder, Repository string
}

// Daemon is a bridge whose parts are built and whose ports are bound.
type Daemon struct {
	config     *config.Config
	log        *slog.Logger
	store      *boltstore.Store
	audit      *auditlog.Log
	authority  *crosscert.Authority
	signers    *signers
	publisher  *signedlist.Publisher
	federation *federation.Federation
	directory  *vdir.Directory
	responder  *vocsp.Proxy
	admin      *grpc.Server
	board      *notice.Board
	client     *http.Client // towards members' responders
	startTLS   *tls.Config
	listeners  listeners
	ready      chan struct{}
}

type listeners struct{ admin, directory, responder, repository net.Listener }

// New opens keys and store, builds the parts and binds the ports, all or
// nothing. Nothing is answered before Run. Errors name the file or port.
func New(ctx context.Context, c *config.Config, version string, log *slog.Logger) (_ *Daemon, err error) {
	d := &Daemon{config: c, log: log, ready: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	if d.store, err = openStore(c); err != nil {
		return nil, err
	}
	state, err := d.store.Ledger().State(ctx)
	if err != nil {
		return nil, err
	}
	m, err := load(c, &state)
	if err != nil {
		return nil, err
	}
	if err := d.build(ctx, m, version); err != nil {
		return nil, err
	}
	return d, d.listen(ctx)
}

// build makes the parts, bottom to top.
func (d *Daemon) build(ctx context.Context, m *material, version string) (err error) {
	c := d.config
	d.startTLS = m.startTLS
	if err := d.openAudit(ctx, m, version); err != nil {
		return err
	}
	d.authority, err = crosscert.Open(ctx, m.bridgeCA, m.bridgeKey, d.store.Ledger(), crosscert.Options{
		BaseURL: c.Repository.URL, Audit: d.audit.Act, Log: d.log,
	})
	if err != nil {
		return err
	}
	// What a crash left half done is settled before anything new is signed.
	if err := d.authority.Recover(ctx); err != nil {
		return fmt.Errorf("recovering the ledger: %w", err)
	}
	if d.signers, err = newSigners(ctx, d.authority, statedir.Dir(c.State), m, d.log); err != nil {
		return err
	}
	if err := d.signers.mayFollow(ctx, d.store.Lists(), m.nextListSigner); err != nil {
		return err
	}
	if _, err := d.signers.renew(ctx); err != nil {
		return err
	}
	d.signers.respond()
	d.publisher = signedlist.NewPublisher(d.signers.listing(), d.store.Lists(), signedlist.Options{Scheme: c.Scheme(), Audit: d.audit.Act, Log: d.log})
	if m.nextListSigner != nil {
		if err := d.publisher.Announce(m.nextListSigner); err != nil {
			return err
		}
	}
	if d.directory, err = vdir.New(c.Directory.Suffix, d.directoryOptions()); err != nil {
		return err
	}
	d.responder, err = vocsp.New(vocsp.Options{Signer: d.signers.responder(), Log: d.log})
	if err != nil {
		return err
	}
	out := outbound.Policy{Allow: c.Outgoing.Prefixes()}
	dial, client := outbound.Dial(out), outbound.Client(out)
	d.client = client
	register := d.store.Members()
	d.federation = federation.New(federation.Parts{
		Register:  membership.NewRegister(register, membership.Options{Documents: d.store.Documents(), Audit: d.recordAct, Log: d.log}),
		Authority: d.authority,
		Publisher: d.publisher,
		Directory: d.directory,
		Responder: d.responder,
		Documents: d.store.Documents(),
		Examine:   d.examiner(m, dial),
		Changes:   register.Watch,
		Open: func(e membership.Directory) (vdir.Backend, error) {
			return d.openDirectory(e, dial)
		},
		Ask: func(issuer *x509.Certificate, urls []string) vocsp.Source {
			return vocsp.Cached(vocsp.Upstream(urls, issuer, client, vocsp.UpstreamOptions{Timeout: c.Responder.MemberTimeout}), cachedAnswers, time.Now)
		},
		Own: vocsp.Route{Issuer: d.signers.bridgeCA, Source: vocsp.Local(d.signers.bridgeCA, d.signers.responding.Load, d.ownStatus)},

		BridgeCA: d.signers.bridgeCA,
		Root:     func() *crosscert.OfflineRoot { return m.root.current(d.log) },
		Signers:  d.signers.certificates(),
		Levels:   m.levels,
		Every:    c.Reconcile,
		Watching: d.watching(out),
		Nightly:  c.Watch.Checks,
		Compare:  compareReports,
		Log:      d.log,
	})
	persons := people.NewRegister(d.store.People(), people.NewAuthority(m.adminCA.cert, m.adminCA.key), people.Options{Audit: d.recordAppointment, Log: d.log})
	d.board = d.newBoard(persons, out)
	d.admin = adminapi.New(d.federation, persons, m.adminServer, m.adminCA.cert, adminapi.Options{Version: version, Audit: d.audit, Notices: d.board.Items, Log: d.log})
	return nil
}

// announceSigners publishes the newest certificates of the bridge's own signers.
func (d *Daemon) announceSigners(ctx context.Context) error {
	d.publisher.SetSigner(d.signers.listing())
	d.federation.SetSigners(d.signers.certificates())
	return d.federation.Reconcile(ctx)
}

// directoryOptions announce in the root DSE what the LDAP front does.
func (d *Daemon) directoryOptions() vdir.Options {
	o := vdir.Options{
		SupportedControls:   []string{ldap.OIDManageDsaIT, ldap.OIDPagedResults},
		SupportedExtensions: []string{ldap.OIDWhoAmI, ldap.OIDCancel},
		SupportedVersions:   []int{3},
		MemberTimeout:       d.config.Directory.MemberTimeout,
		Log:                 d.log,
	}
	if d.startTLS != nil {
		o.SupportedExtensions = append(o.SupportedExtensions, ldap.OIDStartTLS)
	}
	if d.config.Directory.LDAPv2 {
		o.SupportedVersions = []int{2, 3}
	}
	return o
}

// cachedAnswers bounds what is kept of one member CA's answers.
const cachedAnswers = 10000

func (d *Daemon) openDirectory(e membership.Directory, dial outbound.DialFunc) (vdir.Backend, error) {
	o := ldapback.Options{Dial: dial, StartTLS: e.StartTLS, BindDN: e.BindDN}
	if dialect, ok := vdir.LookupDialect(e.Dialect); ok {
		o.LDAPVersion = dialect.Version
	}
	if e.Credential != "" {
		state := statedir.Dir(d.config.State)
		if _, err := state.ReadCredential(e.Credential); err != nil {
			return nil, err
		}
		o.Password = func() ([]byte, error) { return state.ReadCredential(e.Credential) }
	}
	return ldapback.New(e.URL, o)
}

// ownStatus answers for certificates of the bridge CA from its ledger.
func (d *Daemon) ownStatus(ctx context.Context, serial *big.Int) (vocsp.LocalStatus, error) {
	r, err := d.authority.Status(ctx, serial)
	switch {
	case fault.KindOf(err) == fault.NotFound && err != nil:
		return vocsp.LocalStatus{}, nil // never issued
	case err != nil:
		return vocsp.LocalStatus{}, err
	case r.Stage == crosscert.Revoked:
		return vocsp.LocalStatus{Status: ocsp.Revoked, RevokedAt: r.RevokedAt, Reason: ocsp.Reason(r.Reason)}, nil
	}
	return vocsp.LocalStatus{Status: ocsp.Good}, nil
}

// What one port holds open at once; the directory counts for itself. Each has
// deadlines, so that who says nothing makes room again.
const (
	maxAdminConnections = 256
	maxHTTPConnections  = 10000
)

// listen binds the four ports.
func (d *Daemon) listen(ctx context.Context) error {
	var errs []error
	for _, l := range []struct {
		into       *net.Listener
		part, addr string
	}{
		{&d.listeners.admin, "admin", d.config.Admin.Listen},
		{&d.listeners.directory, "directory", d.config.Directory.Listen},
		{&d.listeners.responder, "responder", d.config.Responder.Listen},
		{&d.listeners.repository, "repository", d.config.Repository.Listen},
	} {
		var err error
		if *l.into, err = new(net.ListenConfig).Listen(ctx, "tcp", l.addr); err != nil {
			*l.into = nil
			errs = append(errs, fault.New(fault.Unavailable, "%s.listen: %w", l.part, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	l := &d.listeners
	l.admin = netutil.LimitListener(l.admin, maxAdminConnections)
	l.responder = netutil.LimitListener(l.responder, maxHTTPConnections)
	l.repository = netutil.LimitListener(l.repository, maxHTTPConnections)
	return nil
}

// Addrs returns where the daemon listens; ports are known though the
// configuration said 0.
func (d *Daemon) Addrs() Addrs {
	return Addrs{
		Admin:      d.listeners.admin.Addr().String(),
		Directory:  d.listeners.directory.Addr().String(),
		Responder:  d.listeners.responder.Addr().String(),
		Repository: d.listeners.repository.Addr().String(),
	}
}

// Artifacts returns what is published now.
func (d *Daemon) Artifacts() *federation.Artifacts { return d.federation.Artifacts() }

// Ready is closed once everything answers.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Run serves until ctx ends, then lets running requests finish within the
// configured time and closes the store. A part that fails ends the others.
func (d *Daemon) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.release()) }()
	if err := d.federation.Reconcile(ctx); err != nil {
		d.log.Error("first reconciliation incomplete", "err", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	start := func(part string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				stop(fmt.Errorf("%s: %w", part, err))
			}
		})
	}
	// Requests that are drained still ask members: the federation ends last.
	members, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var last sync.WaitGroup
	last.Go(func() {
		if err := d.federation.Run(members); err != nil {
			stop(fmt.Errorf("federation: %w", err))
		}
	})
	start("signers", func(ctx context.Context) error { return d.signers.run(ctx, d.announceSigners) })
	start("admin", d.serveAdmin)
	start("directory", d.serveDirectory)
	start("digest", d.board.Run)
	start("responder", func(ctx context.Context) error { return d.serveHTTP(ctx, d.listeners.responder, d.responder) })
	start("repository", func(ctx context.Context) error {
		source := newFiles(d.federation, d.publisher)
		return d.serveHTTP(ctx, d.listeners.repository, repository.Handler(source, repository.Options{Name: d.config.Bridge.Name, Log: d.log, Old: source.Old}))
	})
	a := d.Addrs()
	d.log.Info("bridge is up", "admin", a.Admin, "directory", a.Directory, "responder", a.Responder, "repository", a.Repository)
	close(d.ready)
	<-ctx.Done()
	d.log.Info("bridge is stopping", "drain", d.config.Drain)
	wg.Wait()
	end()
	last.Wait()
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		cause = nil
	}
	return errors.Join(cause, d.recordStop(cause))
}

// drain is a context that lasts the configured time after the one that ended.
func (d *Daemon) drain(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d.config.Drain)
}

func (d *Daemon) serveAdmin(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- d.admin.Serve(d.listeners.admin) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := d.drain(ctx)
	defer cancel()
	drained := make(chan struct{})
	go func() { d.admin.GracefulStop(); close(drained) }()
	select {
	case <-drained:
	case <-ctx.Done():
		d.admin.Stop()
		<-drained
	}
	return <-failed
}

func (d *Daemon) serveDirectory(ctx context.Context) error {
	return ldapfront.Serve(ctx, d.listeners.directory, d.directory, ldapfront.Options{
		LDAPv2: d.config.Directory.LDAPv2, TLS: d.startTLS, Drain: d.config.Drain, Log: d.log,
		MaxConns: d.config.Directory.MaxConnections, MaxConnsPerAddress: d.config.Directory.MaxConnectionsPerAddress,
	})
}

func (d *Daemon) serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := d.drain(ctx)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		_ = s.Close() // the time is up; what still runs is cut off
	}
	<-failed
	return nil
}

// release closes what New opened; closing a listener that was served is
// harmless.
func (d *Daemon) release() error {
	for _, l := range []net.Listener{d.listeners.admin, d.listeners.directory, d.listeners.responder, d.listeners.repository} {
		if l != nil {
			_ = l.Close()
		}
	}
	if d.client != nil {
		d.client.CloseIdleConnections()
	}
	if d.store == nil {
		return nil
	}
	return d.store.Close()
}

// Validate loads everything that c names without starting anything, and
// returns all problems, joined. A store that a running daemon has open is not
// looked into.
func Validate(c *config.Config) error {
	var state *crosscert.State
	store, storeErr := openStore(c)
	if storeErr == nil {
		var s crosscert.State
		s, storeErr = store.Ledger().State(context.Background())
		state, storeErr = &s, errors.Join(storeErr, store.Close())
	} else if fault.KindOf(storeErr) == fault.Unavailable {
		storeErr = nil
	}
	_, err := load(c, state)
	return errors.Join(err, storeErr)
}

// openStore opens the store, and says what to do when it is lost.
func openStore(c *config.Config) (*boltstore.Store, error) {
	path := statedir.Dir(c.State).Store()
	store, err := boltstore.Open(path)
	if fault.KindOf(err) != fault.NotFound || err == nil {
		return store, err
	}
	if _, err := os.Stat(c.State); err != nil {
		return nil, fault.New(fault.NotFound, "state: %w; \"bridged init\" makes it", err)
	}
	return nil, fault.New(fault.NotFound, "the store %s is gone; restore it from a backup. "+
		"A new one would number serials, CRLs and lists from the start again, which must never happen", path)
}
