package checkup

import "context"

// Check is one row of the examination.
type Check struct {
	ID     string // C certificates, D directory, V validation, I interoperability
	Title  string
	Source string // where the demand stands
	Must   bool   // a failure bars admission; else it warns
	Asks   string // what is asked, in a sentence
	Fix    string // what to do about a failure, as a rule

	over func(*examination) []target
	run  func(context.Context, *examination, target, *result)
}

// Where demands come from.
const (
	secureMessaging = "S/MIME Secure Messaging Architecture "
	baseline        = "S/MIME BR "
)

// Checks returns all checks in the order of a report.
func Checks() []Check {
	const must, should = true, false
	return []Check{
		{"C1", "X.509 version 3", secureMessaging + "§2.1", must, "Is each CA certificate of version 3?",
			"Issue the CA certificate anew as X.509v3.", authorities, checkVersion},
		{"C2", "Key size", secureMessaging + "§2.1; " + baseline + "§6.1.5", must, "Has the key 2048 bits of RSA or 256 of an elliptic curve, or more?",
			"Make a new CA key: RSA with 3072 bits, or ECDSA on P-256 or P-384.", authorities, checkKeySize},
		{"C3", "Key quality", baseline + "§6.1.6", must, "Is the exponent odd and at least 3, has the modulus no factor below 752, no close primes, no fingerprint of a broken generator?",
			"The key can be broken: make a new one with current software, and revoke what it signed.", authorities, checkKeyQuality},
		{"C4", "CA and key usage", "RFC 5280 §4.2.1.2, §4.2.1.3, §4.2.1.9", must, "Is it a CA that may sign certificates and CRLs, with a subject key identifier?",
			"Issue the CA certificate anew with cA, keyCertSign, cRLSign and a subjectKeyIdentifier.", authorities, checkRole},
		{"C5", "Chain", "RFC 5280 §6.1.3; " + secureMessaging + "§6.1", must, "Is it self-signed, or signed by a CA of the application? Does a second level issue to people?",
			"Add the CA certificate that issued this one to the application.", authorities, checkChain},
		{"C6", "Signature algorithm", baseline + "§7.1.3.2", must, "Is it signed with neither MD5 nor SHA-1?",
			"Issue the certificate anew with SHA-256 or better.", authorities, checkSignatureHash},
		{"C7", "Validity", "RFC 5280 §4.1.2.5", must, "Is it valid now, and for 180 days to come?",
			"Renew the CA certificate before applying.", authorities, checkValidity},
		{"C8", "Fingerprint", secureMessaging + "§9.1.1", must, "Does the signed form have its fingerprint?",
			"Compare the file with the form: one of them is not the CA's. Sign the form anew if it is the form.", authorities, checkFingerprint},
		{"C9", "Key and name", "RFC 5280 §4.1.2.4", must, "Is neither key nor name another member's, nor the key blocked?",
			"Use a key and a name of your own; ask the bridge when they are.", authorities, checkUnowned},
		{"C10", "Lint", "RFC 5280 §4, as zlint reads it", should, "Does an independent linter find no error?",
			"Mend the certificate profile when the CA certificate is next issued.", authorities, checkLint},
		{"C11", "Policies", "RFC 5280 §4.2.1.4, §4.2.1.5", must, "Are the policies known, carried by the issuing CAs, and none mapped to or from anyPolicy?",
			"Map policies that the issuing CA's certificate carries to levels of the bridge.", authorities, checkPolicies},
		{"C12", "Constraints", "RFC 5280 §4.2, §6.1", must, "Does the bridge's validator understand all that is critical, and can there be subscribers below?",
			"Remove the extension or constraint that is named, or tell the bridge what it is for.", authorities, checkConstraints},

		{"D1", "Reachable", secureMessaging + "§7.5.3", must, "Does every address of the endpoint accept connections?",
			"Open the port to the bridge, and take addresses out of DNS where nothing listens.", endpoints, checkReachable},
		{"D2", "LDAP version", "RFC 4511 §4.2; " + secureMessaging + "§2.1, §9.2", must, "Does it accept a bind of LDAPv3? Version 2 alone is adapted to, with a warning.",
			"Let the directory accept the bind, anonymous or as declared, with LDAPv3.", endpoints, checkProtocol},
		{"D3", "TLS", "RFC 4513 §3", should, "Does it speak TLS, with a certificate for its name that verifies?",
			"Use ldaps or StartTLS with a certificate for the host name, from a CA that is known.", endpoints, checkTLS},
		{"D4", "Test mailbox", secureMessaging + "§7.5.2", must, "Is the test mailbox found by its exact address, with a certificate?",
			"Check base, dialect and the rights of the bridge's account: the search above must find the entry.", endpoints, checkMailbox},
		{"D5", "Certificate of the test mailbox", "RFC 8550 §3, §4.4; " + secureMessaging + "§7.5.2", must, "Could somebody encrypt to it: its address, valid, for encryption, from this applicant's CAs?",
			"Publish a current encryption certificate of your own CA for the test mailbox.", endpoints, checkUserCertificate},
		{"D6", "Discretion", secureMessaging + "§7.5.1", should, "Are questions for everybody refused, and do entries show mail, cn and certificate only?",
			"Refuse wildcards to the bridge's account and limit what it may read. The bridge asks neither and shows no more.", endpoints, checkDiscretion},
		{"D7", "Latency", "service level of the bridge", should, "Are 19 of 20 queries answered within two seconds?",
			"Index the address attribute, or bring the directory closer to the network's edge.", endpoints, checkLatency},
		{"D8", "Redundancy", secureMessaging + "§7.5.2", should, "Does each endpoint answer, and as the others do?",
			"Mend the replica, or take it out of the application.", endpoints, checkRedundancy},
		{"D9", "Mail domains", baseline + "§3.2.2.1", must, "Does DNS prove the domain, and does no member own it?",
			"Publish the TXT record.", domains, checkDomain},
		{"D10", "No way inside", "RFC 4511 §4.5.3; RFC 6890", must, "Are all addresses public, and are there no referrals?",
			"Publish the directory at a public address, and serve the entries themselves instead of referrals.", endpoints, checkInside},

		{"V1", "CRL retrieved", "RFC 5280 §4.2.1.13; " + secureMessaging + "§8.1", must, "Can the CRL be retrieved from each URL?",
			"Let the URL answer with the DER CRL and status 200, reachable for everybody.", crlSources, checkCRLRetrieved},
		{"V2", "CRL", "RFC 5280 §5", must, "Is it signed by the CA, current, numbered, at most 64 MiB?",
			"Publish a current, complete CRL of this CA with a CRL number, and see to it that it is replaced in time.", crlURLs, checkCRL},
		{"V3", "Revoked certificate listed", "RFC 5280 §5.1.2.6", must, "Does the CRL list the revoked test serial?",
			"Check that the CRL is made from the CA's own records, and that the test serial is right.", crlURLs, checkCRLRevoked},
		{"V4", "OCSP statuses", "RFC 6960 §2.2; " + secureMessaging + "§2.1", must, "Is the valid certificate good, the revoked one revoked, an unused number not good?",
			"Check the data of the responder, and that the test serials are right.", responders, checkStatuses},
		{"V5", "OCSP responses", "RFC 6960 §3.2", must, "Does whoever signs it have the right to, does it answer what was asked, is it fresh?",
			"Sign with the CA or a certificate it issued for OCSP signing with id-pkix-ocsp-nocheck, and set nextUpdate.", responders, checkResponses},
		{"V6", "GET and POST", "RFC 6960 appendix A.1", should, "Does the responder answer both alike?",
			"Let the web server pass both methods to the responder, slashes and escapes in the path unchanged.", responders, checkMethods},
		{"V7", "CRL and OCSP agree", "RFC 6960 §1", must, "Do both say the same of the test serials?",
			"Feed both from the same records, and publish the CRL when something is revoked.", responders, checkAgreement},
		{"V8", "URLs in certificates", "RFC 5280 §4.2.1.13, §4.2.2.1", should, "Do certificates name the URLs that are declared for their issuer?",
			"Declare under crl and ocsp what the certificates name.", authorities, checkURLs},
		{"V9", "Steady", "service level of the bridge", must, "Were the status services right at five examinations over 24 hours?",
			"Find out why they failed, and wait until a day has passed without.", whole, checkHistory},

		{"I1", "Mail both ways", "RFC 8551", must, "Does the test mailbox read encrypted mail and reply signed? An officer tries and records it.",
			"Check the mail client of the test mailbox.", whole, checkMail},
		{"I2", "Domain certificates", secureMessaging + "§5.2", must, "Is the domain certificate accepted, where one is used?",
			"Issue the domain certificate by the profile of the bridge.", whole, checkSite},
		{"I3", "Found through the bridge", secureMessaging + "§7.5.1", must, "Does the bridge's own directory return the certificate of the test mailbox?",
			"Mend what D1 to D5 name; what they leave is for the bridge's operator.", endpoints, checkBridgeSearch},
		{"I4", "Paths", "RFC 5280 §6; RFC 4158", must, "Is there a path from each consenting member to the applicant and back, and no other new path?",
			"Look at the preview of the admission: policies, name constraints and cross-certificates must fit.", whole, checkPaths},
		{"I5", "List entry", "RFC 5652 §5; RFC 5280 §4.1", should, "Can the entry for each anchor be imported where lists are used?",
			"Mend the certificate profile when the anchor is next issued.", anchors, checkImport},
	}
}

func whole(*examination) []target { return []target{{}} }

func authorities(x *examination) (out []target) {
	for _, a := range x.authorities() {
		out = append(out, target{name: a.name(), authority: a})
	}
	return out
}

func anchors(x *examination) (out []target) { return authorities(x)[:len(x.anchors)] }

func endpoints(x *examination) (out []target) {
	for _, e := range x.endpoints {
		out = append(out, target{name: e.URL, endpoint: e})
	}
	return out
}

func domains(x *examination) (out []target) {
	for _, d := range x.Application.MailDomains {
		out = append(out, target{name: d, domain: d})
	}
	return out
}

// crlSources are the URLs of CRLs, and the CAs that have none.
func crlSources(x *examination) (out []target) {
	for _, a := range x.authorities() {
		if len(a.crls) == 0 {
			out = append(out, target{name: a.name(), authority: a})
		}
	}
	return append(crlURLs(x), out...)
}

func crlURLs(x *examination) (out []target) {
	for _, a := range x.authorities() {
		for _, s := range a.crls {
			out = append(out, target{name: s.url + " of " + a.name(), authority: a, crl: s})
		}
	}
	return out
}

func responders(x *examination) (out []target) {
	for _, a := range x.authorities() {
		for _, p := range a.responders {
			out = append(out, target{name: p.url + " of " + a.name(), authority: a, responder: p})
		}
	}
	return out
}
