package vdir

const subschemaDN = "cn=subschema"

// subschema describes what the tree shows (RFC 4512 §4.2).
func subschema() Entry {
	return Entry{DN: subschemaDN, Attributes: []Attribute{
		attribute("objectClass", "top", "subentry", "subschema", "extensibleObject"),
		attribute("cn", "subschema"),
		attribute("ldapSyntaxes", // RFC 4517 §3.3, RFC 4523 §2.1
			"( 1.3.6.1.4.1.1466.115.121.1.8 DESC 'X.509 Certificate' )",
			"( 1.3.6.1.4.1.1466.115.121.1.11 DESC 'Country String' )",
			"( 1.3.6.1.4.1.1466.115.121.1.15 DESC 'Directory String' )",
			"( 1.3.6.1.4.1.1466.115.121.1.26 DESC 'IA5 String' )",
			"( 1.3.6.1.4.1.1466.115.121.1.38 DESC 'OID' )",
		),
		attribute("matchingRules", // RFC 4517 §4.2
			"( 2.5.13.0 NAME 'objectIdentifierMatch' SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )",
			"( 2.5.13.2 NAME 'caseIgnoreMatch' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
			"( 2.5.13.4 NAME 'caseIgnoreSubstringsMatch' SYNTAX 1.3.6.1.4.1.1466.115.121.1.58 )",
			"( 1.3.6.1.4.1.1466.109.114.2 NAME 'caseIgnoreIA5Match' SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )",
			"( 1.3.6.1.4.1.1466.109.114.3 NAME 'caseIgnoreIA5SubstringsMatch' SYNTAX 1.3.6.1.4.1.1466.115.121.1.58 )",
		),
		attribute("attributeTypes", // RFC 4512 §3.3, RFC 4519 §2, RFC 4523 §4.1, RFC 4524 §2.16
			"( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )",
			"( 2.5.4.41 NAME 'name' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
			"( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )",
			"( 2.5.4.6 NAME ( 'c' 'countryName' ) SUP name SYNTAX 1.3.6.1.4.1.1466.115.121.1.11 SINGLE-VALUE )",
			"( 2.5.4.10 NAME ( 'o' 'organizationName' ) SUP name )",
			"( 2.5.4.11 NAME ( 'ou' 'organizationalUnitName' ) SUP name )",
			"( 0.9.2342.19200300.100.1.25 NAME ( 'dc' 'domainComponent' ) EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )",
			"( 0.9.2342.19200300.100.1.3 NAME ( 'mail' 'rfc822Mailbox' ) EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )",
			"( 2.5.4.36 NAME 'userCertificate' DESC 'X.509 user certificate' SYNTAX 1.3.6.1.4.1.1466.115.121.1.8 )",
		),
		// RFC 4512 §2.4.1, RFC 4519 §3, RFC 2798 §3, RFC 4523 §5.1, RFC 4524 §3.4;
		// optional attributes that this tree never shows are left out, and a
		// person need not have those that a member need not give.
		attribute("objectClasses",
			"( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
			"( 2.5.6.2 NAME 'country' SUP top STRUCTURAL MUST c )",
			"( 2.5.6.4 NAME 'organization' SUP top STRUCTURAL MUST o )",
			"( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou )",
			"( 0.9.2342.19200300.100.4.13 NAME 'domain' SUP top STRUCTURAL MUST dc MAY ( o $ ou ) )",
			"( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MAY cn )",
			"( 2.5.6.7 NAME 'organizationalPerson' SUP person STRUCTURAL MAY ou )",
			"( 2.16.840.1.113730.3.2.2 NAME 'inetOrgPerson' SUP organizationalPerson STRUCTURAL MAY ( mail $ o $ userCertificate ) )",
			"( 2.5.6.21 NAME 'pkiUser' DESC 'X.509 PKI User' SUP top AUXILIARY MAY userCertificate )",
		),
	}}
}

// operational reports whether an attribute is returned only when it is asked
// for by name or with "+" (RFC 4511 §4.5.1.8). typ is canonical.
func operational(typ string) bool {
	switch typ {
	case "namingcontexts", "subschemasubentry", "supportedldapversion", "supportedfeatures",
		"supportedcontrol", "supportedextension", "vendorname",
		"ldapsyntaxes", "matchingrules", "attributetypes", "objectclasses":
		return true
	}
	return false
}
