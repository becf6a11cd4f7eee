package ldap

import (
	"fmt"
	"math"
)

// Result is LDAPResult (RFC 4511 §4.1.9), part of every response.
type Result struct {
	Code       ResultCode
	MatchedDN  string
	Diagnostic string
	Referrals  []string // LDAP URLs
}

const tagReferral = contextCons | 3

func (d *decoder) result(v *view) Result {
	r := Result{
		Code:       ResultCode(v.int(tagEnumerated, math.MaxInt32)),
		MatchedDN:  v.string(tagOctetString),
		Diagnostic: v.string(tagOctetString),
	}
	if v.at(tagReferral) {
		list := v.sub(tagReferral)
		r.Referrals = list.strings(tagOctetString)
	}
	return r
}

func (e *encoder) result(r Result) {
	e.int(tagEnumerated, int64(r.Code))
	e.string(tagOctetString, r.MatchedDN)
	e.string(tagOctetString, r.Diagnostic)
	if len(r.Referrals) > 0 {
		list := e.open(tagReferral)
		e.strings(tagOctetString, r.Referrals)
		e.close(list)
	}
}

// ResultCode says how an operation ended (RFC 4511 appendix A). Codes beyond
// those named here occur.
type ResultCode int32

// The result codes of RFC 4511 appendix A and RFC 3909.
const (
	Success                      ResultCode = 0
	OperationsError              ResultCode = 1
	ProtocolError                ResultCode = 2
	TimeLimitExceeded            ResultCode = 3
	SizeLimitExceeded            ResultCode = 4
	CompareFalse                 ResultCode = 5
	CompareTrue                  ResultCode = 6
	AuthMethodNotSupported       ResultCode = 7
	StrongerAuthRequired         ResultCode = 8
	Referral                     ResultCode = 10
	AdminLimitExceeded           ResultCode = 11
	UnavailableCriticalExtension ResultCode = 12
	ConfidentialityRequired      ResultCode = 13
	SASLBindInProgress           ResultCode = 14
	NoSuchAttribute              ResultCode = 16
	UndefinedAttributeType       ResultCode = 17
	InappropriateMatching        ResultCode = 18
	ConstraintViolation          ResultCode = 19
	AttributeOrValueExists       ResultCode = 20
	InvalidAttributeSyntax       ResultCode = 21
	NoSuchObject                 ResultCode = 32
	AliasProblem                 ResultCode = 33
	InvalidDNSyntax              ResultCode = 34
	AliasDereferencingProblem    ResultCode = 36
	InappropriateAuthentication  ResultCode = 48
	InvalidCredentials           ResultCode = 49
	InsufficientAccessRights     ResultCode = 50
	Busy                         ResultCode = 51
	Unavailable                  ResultCode = 52
	UnwillingToPerform           ResultCode = 53
	LoopDetect                   ResultCode = 54
	NamingViolation              ResultCode = 64
	ObjectClassViolation         ResultCode = 65
	NotAllowedOnNonLeaf          ResultCode = 66
	NotAllowedOnRDN              ResultCode = 67
	EntryAlreadyExists           ResultCode = 68
	ObjectClassModsProhibited    ResultCode = 69
	AffectsMultipleDSAs          ResultCode = 71
	Other                        ResultCode = 80
	Canceled                     ResultCode = 118
	NoSuchOperation              ResultCode = 119
	TooLate                      ResultCode = 120
	CannotCancel                 ResultCode = 121
)

var resultNames = map[ResultCode]string{
	Success:                      "success",
	OperationsError:              "operationsError",
	ProtocolError:                "protocolError",
	TimeLimitExceeded:            "timeLimitExceeded",
	SizeLimitExceeded:            "sizeLimitExceeded",
	CompareFalse:                 "compareFalse",
	CompareTrue:                  "compareTrue",
	AuthMethodNotSupported:       "authMethodNotSupported",
	StrongerAuthRequired:         "strongerAuthRequired",
	Referral:                     "referral",
	AdminLimitExceeded:           "adminLimitExceeded",
	UnavailableCriticalExtension: "unavailableCriticalExtension",
	ConfidentialityRequired:      "confidentialityRequired",
	SASLBindInProgress:           "saslBindInProgress",
	NoSuchAttribute:              "noSuchAttribute",
	UndefinedAttributeType:       "undefinedAttributeType",
	InappropriateMatching:        "inappropriateMatching",
	ConstraintViolation:          "constraintViolation",
	AttributeOrValueExists:       "attributeOrValueExists",
	InvalidAttributeSyntax:       "invalidAttributeSyntax",
	NoSuchObject:                 "noSuchObject",
	AliasProblem:                 "aliasProblem",
	InvalidDNSyntax:              "invalidDNSyntax",
	AliasDereferencingProblem:    "aliasDereferencingProblem",
	InappropriateAuthentication:  "inappropriateAuthentication",
	InvalidCredentials:           "invalidCredentials",
	InsufficientAccessRights:     "insufficientAccessRights",
	Busy:                         "busy",
	Unavailable:                  "unavailable",
	UnwillingToPerform:           "unwillingToPerform",
	LoopDetect:                   "loopDetect",
	NamingViolation:              "namingViolation",
	ObjectClassViolation:         "objectClassViolation",
	NotAllowedOnNonLeaf:          "notAllowedOnNonLeaf",
	NotAllowedOnRDN:              "notAllowedOnRDN",
	EntryAlreadyExists:           "entryAlreadyExists",
	ObjectClassModsProhibited:    "objectClassModsProhibited",
	AffectsMultipleDSAs:          "affectsMultipleDSAs",
	Other:                        "other",
	Canceled:                     "canceled",
	NoSuchOperation:              "noSuchOperation",
	TooLate:                      "tooLate",
	CannotCancel:                 "cannotCancel",
}

// String returns the name in the RFC.
func (c ResultCode) String() string {
	if name, ok := resultNames[c]; ok {
		return name
	}
	return fmt.Sprintf("result code %d", int32(c))
}
