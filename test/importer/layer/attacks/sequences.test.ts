/** The attack sequences of layers.md 2.C that one or two layers make, on a directory and on a dataset. */
import { describeInEachPlace } from '../../../support/layer-places.ts'
import { archiveAttacks } from './archives.ts'
import { attackTests } from './attack.ts'
import { hidingAttacks } from './hiding.ts'
import { linkAttacks } from './links.ts'
import { metadataAttacks } from './metadata.ts'
import { nameAttacks } from './names.ts'
import { pathAttacks } from './paths.ts'
import { zfsControlAttacks } from './zfs-control.ts'

describeInEachPlace('hostile layers', { timeout: 240_000 }, place => {
  attackTests(place, [
    ...pathAttacks,
    ...linkAttacks,
    ...hidingAttacks,
    ...metadataAttacks,
    ...nameAttacks,
    ...archiveAttacks,
    ...zfsControlAttacks,
  ])
})
