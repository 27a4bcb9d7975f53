"""Class names to pictures with provenance.

Sources yield candidates, the fetcher downloads them, and `collect` writes one manifest row for
every attempt. Nothing here loads torch; `browser` is the only module that imports Selenium.
"""
