/**
 * Where the next page is (RFC 8288; distribution-spec, "Content Discovery": `<…>; rel="next"`). Undefined on the last one,
 * and for what is no link.
 */
export function nextLinkIn(header: string | undefined): string | undefined {
  // At most one is expected; a header that is longer is not looked through.
  for (const [, target = '', parameters = ''] of (header ?? '').slice(0, 8192).matchAll(/<([^<>]*)>([^<]*)/g))
    if (/;\s*rel\s*=\s*(?:"next"|next)(?=\s*(?:[;,]|$))/i.test(parameters)) return target
  return undefined
}
