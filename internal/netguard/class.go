package netguard

import "net/netip"

// Class is the kind of network an address is in.
type Class string

// The classes, from the freest to the strictest.
const (
	Public Class = "public"
	// Private networks are those of companies, clusters and carriers.
	Private  Class = "private"
	Loopback Class = "loopback"
	// Reserved addresses have no host: unspecified, multicast, broadcast, for documentation or for the future.
	Reserved Class = "reserved"
	// LinkLocal addresses are in the same network segment. Most clouds have their metadata service there.
	LinkLocal Class = "link-local"
	// Metadata addresses are those of clouds' metadata services outside link-local networks.
	Metadata Class = "metadata"
)

// strictness orders the classes, so that an address that is in two counts as the stricter.
var strictness = map[Class]int{Public: 0, Private: 1, Loopback: 2, Reserved: 3, LinkLocal: 4, Metadata: 5}

// networks are the special networks. The first that holds an address gives its class. Sources: the IANA registries of special
// IPv4 and IPv6 addresses, and the manuals of the clouds for their metadata services.
var networks = []struct {
	class  Class
	prefix netip.Prefix
}{
	{Metadata, netip.MustParsePrefix("169.254.169.254/32")}, // AWS, Azure, Google Cloud and others
	{Metadata, netip.MustParsePrefix("169.254.170.2/32")},   // credentials of AWS tasks
	{Metadata, netip.MustParsePrefix("100.100.100.200/32")}, // Alibaba Cloud
	{Metadata, netip.MustParsePrefix("192.0.0.192/32")},     // Oracle Cloud
	{Metadata, netip.MustParsePrefix("168.63.129.16/32")},   // Azure, outside every special network
	{Metadata, netip.MustParsePrefix("fd00:ec2::/32")},      // AWS
	{Metadata, netip.MustParsePrefix("fd20:ce::254/128")},   // Google Cloud
	{LinkLocal, netip.MustParsePrefix("169.254.0.0/16")},
	{LinkLocal, netip.MustParsePrefix("fe80::/10")},
	{Reserved, netip.MustParsePrefix("0.0.0.0/8")},
	{Reserved, netip.MustParsePrefix("192.0.2.0/24")},
	{Reserved, netip.MustParsePrefix("198.51.100.0/24")},
	{Reserved, netip.MustParsePrefix("203.0.113.0/24")},
	{Reserved, netip.MustParsePrefix("224.0.0.0/3")}, // multicast, the future, broadcast
	{Reserved, netip.MustParsePrefix("::/128")},
	{Reserved, netip.MustParsePrefix("100::/64")},
	{Reserved, netip.MustParsePrefix("2001:db8::/32")},
	{Reserved, netip.MustParsePrefix("3fff::/20")},
	{Reserved, netip.MustParsePrefix("ff00::/8")},
	{Loopback, netip.MustParsePrefix("127.0.0.0/8")},
	{Loopback, netip.MustParsePrefix("::1/128")},
	{Private, netip.MustParsePrefix("10.0.0.0/8")},
	{Private, netip.MustParsePrefix("100.64.0.0/10")}, // carriers' NAT, and the services of some clusters
	{Private, netip.MustParsePrefix("172.16.0.0/12")},
	{Private, netip.MustParsePrefix("192.0.0.0/24")},
	{Private, netip.MustParsePrefix("192.168.0.0/16")},
	{Private, netip.MustParsePrefix("198.18.0.0/15")},
	{Private, netip.MustParsePrefix("64:ff9b:1::/48")}, // NAT64 with a prefix of the network's own
	{Private, netip.MustParsePrefix("fc00::/7")},
	{Private, netip.MustParsePrefix("fec0::/10")},
}

// ClassOf is the class of an address. An address that carries another one has the stricter class of the two.
func ClassOf(addr netip.Addr) Class {
	class := classOfOne(addr.WithZone("").Unmap())
	for _, carried := range carriedBy(addr) {
		if other := classOfOne(carried); strictness[other] > strictness[class] {
			class = other
		}
	}
	return class
}

func classOfOne(addr netip.Addr) Class {
	if !addr.IsValid() {
		return Reserved
	}
	for _, each := range networks {
		if each.prefix.Contains(addr) {
			return each.class
		}
	}
	return Public
}

// carriers are the forms of IPv6 addresses that carry an IPv4 address, and where in the 16 bytes it is.
var carriers = []struct {
	prefix netip.Prefix
	at     int
	// flipped: every bit of the carried address is the opposite.
	flipped bool
}{
	{prefix: netip.MustParsePrefix("::ffff:0:0/96"), at: 12},            // mapped
	{prefix: netip.MustParsePrefix("::/96"), at: 12},                    // compatible, deprecated
	{prefix: netip.MustParsePrefix("::ffff:0:0:0/96"), at: 12},          // translated, RFC 2765
	{prefix: netip.MustParsePrefix("64:ff9b::/96"), at: 12},             // NAT64, RFC 6052
	{prefix: netip.MustParsePrefix("64:ff9b:1::/48"), at: 12},           // NAT64, RFC 8215, as its networks of 96 bits have it
	{prefix: netip.MustParsePrefix("2002::/16"), at: 2},                 // 6to4, RFC 3056
	{prefix: netip.MustParsePrefix("2001::/32"), at: 4},                 // Teredo's server, RFC 4380
	{prefix: netip.MustParsePrefix("2001::/32"), at: 12, flipped: true}, // Teredo's client
}

// carriedBy are the IPv4 addresses within an IPv6 address.
func carriedBy(addr netip.Addr) []netip.Addr {
	if !addr.Is6() {
		return nil
	}
	bytes, plain := addr.As16(), addr.WithZone("")
	var carried []netip.Addr
	for _, form := range carriers {
		// Prefix.Contains says no to mapped addresses, so these are compared by hand.
		if !contains(form.prefix, plain) {
			continue
		}
		four := [4]byte(bytes[form.at : form.at+4])
		if form.flipped {
			for i := range four {
				four[i] = ^four[i]
			}
		}
		carried = append(carried, netip.AddrFrom4(four))
	}
	// ISATAP, RFC 5214: any network, then 0000:5efe or 0200:5efe.
	if (bytes[8] == 0 || bytes[8] == 2) && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe {
		carried = append(carried, netip.AddrFrom4([4]byte(bytes[12:16])))
	}
	// ::1 and :: carry nothing: they are loopback and unspecified.
	if plain == netip.IPv6Loopback() || plain == netip.IPv6Unspecified() {
		return nil
	}
	return carried
}

// contains is Prefix.Contains by bits alone.
func contains(p netip.Prefix, addr netip.Addr) bool {
	if addr.Is4In6() {
		return p.Bits() == 96 && p.Addr() == netip.MustParseAddr("::ffff:0:0")
	}
	return p.Contains(addr)
}
