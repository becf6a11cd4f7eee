package daemon_test

import (
	"encoding/json"
	"slices"
	"testing"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/checkup"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
	"bridge.example/membership"
)

// TestExamine examines organisations that lack one thing each, and reads the
// report, which is evidence.
func TestExamine(t *testing.T) {
	alpha, beta := organisation(t, alphaSpec()), organisation(t, betaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha, beta)
	b.admit(t, b.application(t, alpha))
	desk, ada := b.desk(t), b.as(t, lab.Ada.Person)
	good := b.application(t, beta)
	for _, doc := range good.Documents {
		if _, err := desk.Document(t.Context(), good.ID, doc.Kind); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ada.ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: convert.FromApplication(good)}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(*membership.Application)
		fails []string
	}{
		{"nothing", func(*membership.Application) {}, nil},
		{"a domain that nothing proves", func(a *membership.Application) { a.MailDomains = []string{beta.Spec.Domain, "other.example"} }, []string{"D9"}},
		{"a responder that is not there", func(a *membership.Application) { a.Intermediates[0].OCSP = []string{"http://127.0.0.1:1/"} }, []string{"V4"}},
		{"an address inside", func(a *membership.Application) { a.Directories[0].URL = "ldap://10.0.0.1" }, []string{"D10"}},
		{"no certificate for the bridge", func(a *membership.Application) { a.CrossCertificates = nil }, []string{"I4"}},
		{"none, and one way", func(a *membership.Application) { a.CrossCertificates, a.OneWay = nil, true }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ada.GetMember(t.Context(), &proto.GetMemberRequest{Id: "beta"})
			if err != nil {
				t.Fatal(err)
			}
			a := convert.ToApplication(convert.FromApplication(good)) // a copy
			tt.spoil(&a)
			a.Address = tt.name // every record differs
			if _, err := ada.EditMember(t.Context(), &proto.EditMemberRequest{
				Id: "beta", RecordHash: got.Member.RecordHash, Application: convert.FromApplication(a),
			}); err != nil {
				t.Fatal(err)
			}
			if err := desk.Take(t.Context(), "beta", lab.Admission()[0]); err != nil {
				t.Fatal(err)
			}
			r, err := ada.CheckMember(t.Context(), &proto.CheckMemberRequest{Id: "beta"})
			if err != nil {
				t.Fatal(err)
			}
			report := r.Member.Report
			if !slices.Equal(report.Failed, tt.fails) || report.Passed != (tt.fails == nil) {
				t.Errorf("got failures %q, want %q", report.Failed, tt.fails)
			}
			state := proto.State_STATE_SUBMITTED
			if tt.fails == nil {
				state = proto.State_STATE_CHECKED
			}
			if r.Member.State != state {
				t.Errorf("the state is %s, want %s", r.Member.State, state)
			}
			doc, err := ada.GetDocument(t.Context(), &proto.GetDocumentRequest{Id: "beta", Hash: report.Document})
			if err != nil {
				t.Fatal(err)
			}
			var read checkup.Report
			if err := json.Unmarshal(doc.Content, &read); err != nil || read.Passed() != report.Passed || len(read.Findings) < 30 {
				t.Errorf("the report reads %v, %v", read, err)
			}
			for _, f := range read.Findings {
				if (f.ID == "C8" || f.ID == "C9") && f.Verdict != checkup.OK || f.ID == "I4" && f.Verdict == checkup.Skipped {
					t.Errorf("%s is %s: %q", f.ID, f.Verdict, f.Evidence)
				}
			}
		})
	}
}

// TestExamineInForce asks the bridge's own directory too, once it answers for a
// member; a member that broke is told, and stays.
func TestExamineInForce(t *testing.T) {
	alpha := organisation(t, alphaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha)
	b.admit(t, b.application(t, alpha))
	ada := b.as(t, lab.Ada.Person)
	check := func() *proto.Member {
		t.Helper()
		r, err := ada.CheckMember(t.Context(), &proto.CheckMemberRequest{Id: "alpha"})
		if err != nil {
			t.Fatal(err)
		}
		return r.Member
	}
	m := check()
	doc, err := ada.GetDocument(t.Context(), &proto.GetDocumentRequest{Id: "alpha", Hash: m.Report.Document})
	if err != nil {
		t.Fatal(err)
	}
	var read checkup.Report
	if err := json.Unmarshal(doc.Content, &read); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(read.Findings, func(f checkup.Finding) bool { return f.ID == "I3" })
	if i < 0 || read.Findings[i].Verdict != checkup.OK {
		t.Errorf("found through the bridge: %+v", read.Findings[i])
	}
	if err := alpha.Close(); err != nil {
		t.Fatal(err)
	}
	if m := check(); m.Report.Passed || m.State != proto.State_STATE_ACTIVE || !m.Projection.Listed {
		t.Errorf("after everything broke: %v, listed: %v, %v", m.State, m.Projection.Listed, m.Report)
	}
}
