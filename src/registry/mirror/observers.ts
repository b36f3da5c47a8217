import type { CopyProgress } from '../../storage/images/copy-image.ts'
import type { MirrorObserver } from './run-job.ts'

/** All of them as one. Of images that are copied the last that wants to know is told. */
export function observers(...given: readonly (MirrorObserver | undefined)[]): MirrorObserver {
  const all = given.filter(one => one !== undefined)
  return {
    copying: place => {
      let told: CopyProgress | undefined
      for (const one of all) told = one.copying?.(place) ?? told
      return told
    },
    done: result => {
      for (const one of all) one.done?.(result)
    },
    paused: (until, reason) => {
      for (const one of all) one.paused?.(until, reason)
    },
    resumed: () => {
      for (const one of all) one.resumed?.()
    },
    totals: totals => {
      for (const one of all) one.totals?.(totals)
    },
  }
}
