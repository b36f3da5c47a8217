/**
 * In each password that tests make up, and in nothing else: where it turns up in a log, something was told. Of letters
 * and digits alone, so that it looks the same in a URL, in JSON and in a shell.
 */
export const canary = 'kanarienvogel3f7b'

/** What htpasswd's own tests use, where a password has to have a blank in it. */
const spoken = 'correct horse'

/** A password, or the secret of a client, that the scan of the test run knows: {@link knownSecrets}. */
export function testSecret(of: string): string {
  return `${of}-${canary}`
}

/** What stands for a secret wherever it is found: as it is, and in the middle of something in Base64, such as `Basic …`. */
export function knownSecrets(): readonly string[] {
  return [canary, spoken].flatMap(secret => [secret, ...inBase64(secret)])
}

/** As it looks after 0, 1 and 2 other bytes, without the characters at both ends that those around it have a share in. */
function inBase64(secret: string): string[] {
  return [0, 1, 2].map(before => {
    const text = Buffer.from(' '.repeat(before) + secret)
      .toString('base64')
      .replaceAll('=', '')
    const first = before === 0 ? 0 : before + 1
    const isWhole = (before + secret.length) % 3 === 0
    return text.slice(first, isWhole ? undefined : -1)
  })
}
