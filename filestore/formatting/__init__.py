"""Files that people write: their canonical spelling, and drafts that become datapoints.

Every change passes the write funnel of its dataset, so that a running gateway and somebody's editor are not disturbed.
"""
