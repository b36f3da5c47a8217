import { bcryptCostOf, dummyHash, isTooLongForBcrypt } from './password.ts'

/** One comparison of bcrypt. */
export interface Comparison {
  readonly hash: string
  /** Whether its outcome counts; the others only take their time. */
  readonly isReal: boolean
}

/**
 * What has to be compared with a password, one after the other until one is right. The work of all together is that of
 * `cost`: 2^k for the hash itself, and 2^k + 2^(k+1) + … + 2^(cost-1) beside it.
 */
export function comparisonsOf(password: string, hash: string | null, cost: number): Comparison[] {
  const own = hash === null || isTooLongForBcrypt(password) ? undefined : bcryptCostOf(hash)
  if (hash === null || own === undefined) return [{ hash: dummyHash(cost), isReal: false }]
  const fill = Array.from({ length: Math.max(cost - own, 0) }, (_, index) => ({
    hash: dummyHash(own + index),
    isReal: false,
  }))
  return [{ hash, isReal: true }, ...fill]
}
