"""end to end tests"""
