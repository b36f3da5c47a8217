import { describeInEachPlace } from '../../../support/layer-places.ts'
import { attackTests } from './attack.ts'
import { cveAttacks } from './cve.ts'

describeInEachPlace('known CVEs', { timeout: 120_000 }, place => attackTests(place, cveAttacks))
