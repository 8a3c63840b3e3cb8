/** Sources that the daemon's detectors have found to scan. */

import type { Address } from '../net/address.js';

export interface Scans {
  /**
   * Puts a source into the set that rules of this detector look into, for the detector's time. A detector that left the
   * policy is no error. @throws PosternError `full`, `kernel`
   */
  found(detector: string, source: Address): Promise<void>;
}
