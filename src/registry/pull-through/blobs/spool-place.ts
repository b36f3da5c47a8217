import { isAbort } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { Spool, SpoolPlace } from '../../../storage/spool/spool.ts'

/** Room in the spool, or none if there is none soon. */
export async function placeSoon(
  spool: Spool,
  bytes: number,
  { withinMs, signal }: Abortable & { readonly withinMs: number },
): Promise<SpoolPlace | undefined> {
  const enough = new AbortController()
  const timer = setTimeout(() => enough.abort(), withinMs)
  try {
    const signals = [enough.signal, ...(signal === undefined ? [] : [signal])]
    return await spool.reserve(bytes, { signal: AbortSignal.any(signals) })
  } catch (error) {
    signal?.throwIfAborted()
    if (isAbort(error)) return undefined
    throw error
  } finally {
    clearTimeout(timer)
  }
}
