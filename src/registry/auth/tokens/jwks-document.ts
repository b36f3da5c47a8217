import { calculateJwkThumbprint, type JSONWebKeySet } from 'jose'
import * as z from 'zod'

/** Bytes. */
export const maxJwksBytes = 1024 * 1024
const maxKeys = 256

/** Members of the private parts of RFC 7518, 6: nobody who verifies needs them. `k` is a secret as a whole. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth']

const documentSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(maxKeys) })

/**
 * The public keys in the text of a JWKS (RFC 7517, 5). One that is named by nothing is named by its thumbprint (RFC 7638),
 * as distribution does.
 * @throws whatever, when it is none.
 */
export async function parseJwks(text: string): Promise<JSONWebKeySet> {
  const { keys } = documentSchema.parse(JSON.parse(text))
  const asymmetric = keys.filter(({ kty }) => ['EC', 'RSA', 'OKP'].includes(kty))
  if (asymmetric.length === 0) throw new Error('there is no public key in it')
  return {
    keys: await Promise.all(
      asymmetric.map(async key => {
        const members = Object.entries(key).filter(([name]) => !privateMembers.includes(name))
        const shown = { ...Object.fromEntries(members), kty: key.kty }
        const kid = typeof key['kid'] === 'string' ? key['kid'] : await calculateJwkThumbprint(shown)
        return { ...shown, kid }
      }),
    ),
  }
}
