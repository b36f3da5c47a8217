/** Whether the locale's character encoding is UTF-8: POSIX.1-2017, XBD 8.2; the first of the three that is not empty says so. */
export function isUtf8Locale(environment: Readonly<Record<string, string | undefined>>): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = environment
  return /\.utf-?8(?:@|$)/i.test(LC_ALL || LC_CTYPE || LANG || '')
}
