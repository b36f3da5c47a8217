/**
 * Whether only this machine reaches a host: the whole of 127.0.0.0/8 (RFC 1122, 3.2.1.3), ::1 and the name that stands for
 * them (RFC 6761, 6.3).
 */
export function isLoopback(host: string): boolean {
  return /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]|localhost)$/.test(host)
}

/** The same of `host:port`. */
export function isLoopbackAddress(address: string): boolean {
  return isLoopback(address.replace(/:\d+$/, ''))
}
