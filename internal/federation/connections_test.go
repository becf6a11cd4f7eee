package federation_test

import (
	"slices"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/wire/certext"
	"bridge.example/membership"
)

// TestConnections holds candidates against the paths that should be there after
// their admission.
func TestConnections(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, newOrganisation(t, b, "alpha", 1, true).Application)
	silent := newOrganisation(t, b, "gamma", 3, false)
	b.admit(t, silent.Application)

	for _, tt := range []struct {
		name                string
		mutual              bool
		spoil               func(*organisation)
		missing, unexpected []string
	}{
		{"both directions", true, func(*organisation) {}, nil, nil},
		{"who did not certify the bridge", false, func(*organisation) {}, []string{"from beta to alpha", "from beta to gamma"}, nil},
		{"who does not want to", false, func(o *organisation) { o.OneWay = true }, nil, nil},
		{"who wants no cross-certificate", false, func(o *organisation) { o.Services = []membership.Service{membership.OnList} }, nil, nil},
		{"whose issuing CA is under another policy", true, func(o *organisation) {
			o.Policies = []membership.Policy{{Member: "1.3.6.1.4.1.32473.9.9", Bridge: level}}
		}, []string{"from alpha to beta", "from beta to alpha", "from beta to gamma"}, nil},
		{"who is a way out for one that has none", true, func(o *organisation) {
			o.Intermediates = append(o.Intermediates, membership.CA{
				Certificate: silent.certify(t, o.root.cert, []certext.Mapping{{Issuer: silent.policy, Subject: o.policy}}),
			})
		}, nil, []string{"from CN=gamma,O=gamma of gamma to CN=alpha issuing,O=alpha of alpha"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrganisation(t, b, "beta", 2, tt.mutual)
			tt.spoil(o)
			missing, unexpected, err := b.Connections(t.Context(), membership.Member{Application: o.Application})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(missing, tt.missing) || !slices.Equal(unexpected, tt.unexpected) {
				t.Errorf("got missing %q and unexpected %q, want %q and %q", missing, unexpected, tt.missing, tt.unexpected)
			}
		})
	}
}

// TestPreviewIsComplete: what was not searched is not taken for searched.
func TestPreviewIsComplete(t *testing.T) {
	if err := (federation.Preview{CutOthers: 3}).Complete(); err != nil {
		t.Errorf("got %v, want no error for pairs of others", err)
	}
	if err := (federation.Preview{Cut: 1}).Complete(); err == nil || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v for a pair with the member that was left out, want Unavailable", err)
	}
}
