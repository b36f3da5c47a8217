import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Where a list goes on, for a client that may not know what stands there: `last` in a Link, encrypted, and as long
 * whatever it is. Begins with a character that no name has.
 */
export interface HiddenPositions {
  hide(name: string): string
  /** Undefined for what is not ours. */
  reveal(text: string): string | undefined
}

const mark = '~'
const nonceBytes = 12
const tagBytes = 16
/** Repository names have at most as many, and only characters of one byte. */
const nameBytes = 255

export function isHidden(position: string): boolean {
  return position.startsWith(mark)
}

/** @param secret shared by all replicas. */
export function createHiddenPositions(secret: Uint8Array = randomBytes(32)): HiddenPositions {
  const key = Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), 'position in a list', 32))
  return {
    hide: name => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const sealed = [cipher.update(name.padEnd(nameBytes), 'utf8'), cipher.final(), cipher.getAuthTag()]
      return mark + Buffer.concat([nonce, ...sealed]).toString('base64url')
    },
    reveal: text => {
      const bytes = Buffer.from(text.slice(mark.length), 'base64url')
      if (!isHidden(text) || bytes.length !== nonceBytes + nameBytes + tagBytes) return undefined
      const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes))
      cipher.setAuthTag(bytes.subarray(-tagBytes))
      try {
        const opened = cipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8')
        return (opened + cipher.final('utf8')).trimEnd()
      } catch {
        // The tag is not ours.
        return undefined
      }
    },
  }
}
