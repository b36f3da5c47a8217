import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where what is dear to make stays from one test run to the next: `$VARVE_TEST_CACHE`, else `varve` in the user's cache. */
export function cacheDirectory(): string {
  const { VARVE_TEST_CACHE, XDG_CACHE_HOME } = process.env
  return VARVE_TEST_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'varve')
}
